export { isServicesError, ServicesError, type ServicesErrorCode } from "./errors.ts";
export { startDynamoDb, type DynamoDbOptions } from "./dynamodb.ts";
export { freePort, type Host } from "./host.ts";
export { startRedis, type RedisOptions } from "./redis.ts";
export { startReplicaPair, type FailOverOptions, type ReplicaPair } from "./replica-pair.ts";
export type { RunningService } from "./service.ts";
export {
  type Found,
  startServices,
  type ServiceName,
  type Services,
  type ServicesOptions,
} from "./services.ts";
export { startSimulator, type SimulatorOptions } from "./simulator.ts";
