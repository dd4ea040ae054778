--[[
  Says something of a process beside its heartbeat. A script for its flag alone: on a full Redis too, since who says nothing
  there would be taken for a program of a version before.

  KEYS[1] the note
  ARGV[1] the note, JSON   ARGV[2] its time to live, ms

  Reply: OK
]]
return redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
