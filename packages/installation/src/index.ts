export { acceptingPool, requestBounds } from "./accepting.ts";
export { findStrayLane, strayLanes, strayLanesOf, type StrayLane } from "./stray-lanes.ts";
export { Installation, type InstallationOptions } from "./installation.ts";
export { OpenPool } from "./pool.ts";
export { openProducer, type Producer, type ProducerOptions } from "./producer.ts";
export { OpenScope, type OpenScopeOptions } from "./scope.ts";
