/** What a watch notices of Redis, as events. */
import type { Emit } from "@sluice/job";
import type { RedisNews } from "@sluice/redis";

/** @param onUnfit hears what makes it useless to go on: the program ends, with this sentence. */
export function tellRedisNews(
  emit: Emit,
  onUnfit: (sentence: string) => void = () => {},
): (news: RedisNews) => void {
  return (news) => {
    switch (news.type) {
      case "trouble": {
        const { code, message } = news.problem;
        emit("redis:trouble", { code, problem: message, ready: news.ready });
        // Neither changes while a program runs, unless its Redis was replaced.
        if (code === "cluster" || code === "database") onUnfit(message);
        break;
      }
      case "over":
        emit("redis:recovered", { code: news.code, lastedMs: news.lastedMs });
        break;
      case "new":
      case "emptied":
        emit(`redis:${news.type}`, { keySpace: news.keySpace });
        break;
      case "restarted":
        emit("redis:restarted", { keySpace: news.keySpace, since: news.at });
        break;
    }
  };
}
