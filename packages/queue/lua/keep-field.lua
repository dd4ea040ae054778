--[[
  Sets one field of a job's hash, if the job is there: a job that has ended and was dropped must not come back as a hash
  that no list names and nobody ever drops. One script, since it may end between a look and the write.

  KEYS[1] the job's hash
  ARGV[1] field   ARGV[2] its value

  Reply: 1 set; 0 there is no such job.
]]
if redis.call("EXISTS", KEYS[1]) == 0 then
  return 0
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
return 1
