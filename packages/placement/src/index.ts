export { nearestMiss, place, STRATEGIES, type Candidate, type Decision, type Factor, type HostFacts, type PlacementRequest, type Strategy } from './place.ts';
