/**
 * DynamoDB (dynalite) as a process of its own: the only owner of its LevelDB folder, which a second process
 * could not open. Arguments: folder, port (0 = any). Prints `{"url":"http://127.0.0.1:PORT"}` once it
 * listens. Ends on SIGTERM and when stdin closes, that is when the launcher is gone.
 */
import dynalite from "dynalite";
import { z } from "zod";

// Dead letters hold prompts: what is written is for its user alone.
process.umask(0o077);

const [path, port] = z
  .tuple([z.string().min(1), z.coerce.number().int().min(0).max(65_535)])
  .parse(process.argv.slice(2));

// Real DynamoDB takes seconds for these; nobody waits for a table here.
const server = dynalite({ path, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });

server.listen(port, "127.0.0.1", () => {
  const address = z.object({ port: z.number() }).parse(server.address());
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${String(address.port)}` })}\n`);
});

function end(): void {
  server.close(() => process.exit(0));
  // Kept-alive connections of clients would hold `close` back for as long as the clients live.
  server.closeAllConnections();
}
process.stdin.once("end", end).once("error", end).resume();
process.once("SIGTERM", end);
