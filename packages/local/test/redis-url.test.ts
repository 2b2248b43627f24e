import { expect, test } from 'vitest';
import { redisOptions } from '../src/redis-url.ts';

test.each([
  ['unix:///run/my%20redis.sock?password=s%2Fcret', { path: '/run/my redis.sock', password: 's/cret' }],
  ['unix:///r.sock?db=3', { path: '/r.sock', db: 3 }],
  ['redis://cache.example', { host: 'cache.example', port: 6379 }],
  ['redis://:p%40ss@cache.example:6380/2', { host: 'cache.example', port: 6380, db: 2, password: 'p@ss' }],
  ['rediss://nova:secret@[::1]:6379', { host: '::1', port: 6379, username: 'nova', password: 'secret', tls: {} }],
])('%s', (url, options) => {
  expect(redisOptions(url)).toEqual(options);
});

test.each([
  ['http://cache.example', 'REDIS_URL must start with redis://, rediss:// or unix:///.'],
  ['/run/redis.sock', 'REDIS_URL must start with redis://, rediss:// or unix:///.'],
  ['redis://cache.example/main', 'REDIS_URL names the database "main", which is not a number.'],
])('%s is refused', (url, message) => {
  expect(() => redisOptions(url)).toThrow(message);
});
