-- Puts a line in front of a list of bounded length, and tells of it.
--
-- KEYS  1 list
-- ARGV  1 line  2 lines kept  3 channel for news, '' for none  4 news
-- Reply none
--
-- Runs on a Redis without memory: what is done by hand is needed most there, and is not done without its line.

redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[2]) - 1)
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
