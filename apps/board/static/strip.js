// Says on Bull Board's pages how the pools stand. Bull Board itself does so behind an icon of each lane.
const EVERY_MS = 5000;
// More pools are a matter for their own page; those that take no calls are named in any case.
const SHOWN = 3;
const place = document.querySelector("#sluice-pools");

async function show() {
  if (document.hidden) return;
  const response = await fetch("/pools/now.json");
  if (!response.ok) throw new Error(String(response.status));
  const { pools } = await response.json();
  const shut = pools.filter(({ takesCalls }) => !takesCalls);
  const open = pools.filter(({ takesCalls }) => takesCalls);
  const named = [...shut, ...(pools.length <= SHOWN ? open : [])];
  const parts = named.slice(0, SHOWN).map(({ name, line, takesCalls }) => {
    const part = document.createElement("span");
    part.className = takesCalls ? "open" : "shut";
    const title = document.createElement("b");
    title.textContent = name;
    part.append(title, ` ${line}`);
    part.title = line;
    return part;
  });
  const others = pools.length - parts.length;
  if (others > 0) {
    const rest = document.createElement("span");
    const shutToo = Math.max(0, shut.length - parts.length);
    rest.textContent = shutToo > 0 ? `${shutToo} more take no calls` : `${others} more take calls`;
    parts.push(rest);
  }
  place.replaceChildren(...parts);
}

// It has as many lines as it needs, and Bull Board's header begins below it.
const strip = document.querySelector("#sluice");
new ResizeObserver(() => {
  document.body.style.setProperty("--sluice-height", `${strip.offsetHeight}px`);
}).observe(strip);

function again() {
  show().catch(() => {
    place.textContent = "How the pools stand is not known: the board does not answer";
  });
}
again();
setInterval(again, EVERY_MS);
document.addEventListener("visibilitychange", again);
