"""What services do to tasks on a Redis server."""

from __future__ import annotations

from colibris.taskqueue.stores.redis_scripts.shared import SHARED

#: id, message, queue, unique key, delay, channel, whether the broker is apart
ADD = (
    SHARED
    + """
local id, data, queue, unique, delay, channel, apart = unpack(ARGV)
local key = task(id)
if redis.call('EXISTS', key) == 1 then
    local known = redis.call('HMGET', key, 's', 'c')
    if not finished(known[1]) then hear(key, known[2], channel) end
    return id
end
if unique ~= '' then
    local other = redis.call('GET', p .. 'u:' .. unique)
    if other and redis.call('EXISTS', task(other)) == 1 then return other end
    redis.call('SET', p .. 'u:' .. unique, id)
    redis.call('HSET', key, 'u', unique)
end
if channel ~= '' then redis.call('HSET', key, 'c', channel) end
local later = tonumber(delay) > 0
if later then steady() end
redis.call('HSET', key, 'm', data, 's', later and 'delayed' or 'queued', 'q', queue, 'a', now)
if apart == '1' then
    redis.call('ZADD', p .. (later and 'd' or 'z:' .. queue), later and now + delay or now, id)
    redis.call('PEXPIRE', key, 600000)
    if unique ~= '' then redis.call('PEXPIRE', p .. 'u:' .. unique, 600000) end
elseif later then
    redis.call('ZADD', p .. 'd', now + delay, id)
else
    redis.call('RPUSH', p .. 'q:' .. queue, id)
end
return id
"""
)

#: channel, ids: for each its outcome, '' if it has not finished, nil if nothing is known of it
OUTCOMES = (
    SHARED
    + """
local answer = {}
for i = 2, #ARGV do
    local found = redis.call('HMGET', task(ARGV[i]), 's', 'o', 'c')
    if not found[1] then
        answer[i - 1] = false
    elseif finished(found[1]) then
        answer[i - 1] = found[2]
    else
        hear(task(ARGV[i]), found[3], ARGV[1])
        answer[i - 1] = ''
    end
end
return answer
"""
)

#: id, outcome, its lifetime: 1 if the task is cancelled now
CANCEL = (
    SHARED
    + """
local id, outcome, lifetime = unpack(ARGV)
local found = redis.call('HMGET', task(id), 's', 'q')
if found[1] == 'cancelled' then return 1 end
if found[1] ~= 'queued' and found[1] ~= 'delayed' then return 0 end
redis.call('ZREM', p .. 'd', id)
redis.call('ZREM', p .. 'z:' .. found[2], id)
redis.call('LREM', p .. 'q:' .. found[2], -1, id)
return finish(id, 'cancelled', outcome, lifetime)
"""
)

#: ids: their records and unique keys last
CONFIRM = (
    SHARED
    + """
for _, id in ipairs(ARGV) do
    local found = redis.call('HMGET', task(id), 's', 'u')
    if found[1] and not finished(found[1]) then redis.call('PERSIST', task(id)) end
    if found[2] and redis.call('GET', p .. 'u:' .. found[2]) == id then redis.call('PERSIST', p .. 'u:' .. found[2]) end
end
"""
)

#: id: forgets a task that waits and is not known to have come to the broker
FORGET = (
    SHARED
    + """
local id = ARGV[1]
local found = redis.call('HMGET', task(id), 's', 'u', 'q')
if found[1] ~= 'queued' and found[1] ~= 'delayed' then return end
if redis.call('PTTL', task(id)) < 0 then return end
redis.call('ZREM', p .. 'd', id)
redis.call('ZREM', p .. 'z:' .. found[3], id)
if found[2] and redis.call('GET', p .. 'u:' .. found[2]) == id then redis.call('DEL', p .. 'u:' .. found[2]) end
redis.call('DEL', task(id))
"""
)

#: id, message, whether the broker is apart: 1 if it was a dead letter
REVIVE = (
    SHARED
    + """
local id, data, apart = unpack(ARGV)
local found = redis.call('HMGET', task(id), 's', 'q')
if found[1] ~= 'failed' then return 0 end
redis.call('HSET', task(id), 'm', data, 's', 'queued', 'a', now)
redis.call('HDEL', task(id), 'o', 'f', 'l')
redis.call('PERSIST', task(id))
redis.call('ZREM', p .. 'x', id)
if apart == '1' then
    redis.call('ZADD', p .. 'z:' .. found[2], now, id)
else
    redis.call('RPUSH', p .. 'q:' .. found[2], id)
end
return 1
"""
)

#: ids; none of them for all dead letters: how many were forgotten
PURGE = (
    SHARED
    + """
local ids = ARGV
if #ids == 0 then ids = redis.call('ZRANGE', p .. 'x', 0, 999) end
local count = 0
for _, id in ipairs(ids) do
    if redis.call('ZREM', p .. 'x', id) == 1 then
        redis.call('DEL', task(id))
        count = count + 1
    end
end
return count
"""
)

#: queues: for each its length and the age of its oldest task; then delayed, running, dead, and the workers as id, age
#: of the last sign of life, and what they say of themselves
STATS = (
    SHARED
    + """
local queues = {}
for i, queue in ipairs(ARGV) do
    local length = redis.call('LLEN', p .. 'q:' .. queue) + redis.call('ZCARD', p .. 'z:' .. queue)
    local first = redis.call('LINDEX', p .. 'q:' .. queue, 0)
    local added = first and redis.call('HGET', task(first), 'a')
    if not added then added = redis.call('ZRANGE', p .. 'z:' .. queue, 0, 0, 'WITHSCORES')[2] end
    queues[i] = {length, added and now - added or -1}
end
local workers = {}
for _, worker in ipairs(redis.call('ZRANGE', p .. 'w', 0, -1)) do
    local seen = now - redis.call('ZSCORE', p .. 'w', worker)
    workers[#workers + 1] = {worker, seen, redis.call('HGET', p .. 'i', worker) or '{}'}
end
local x = redis.call('ZCARD', p .. 'x')
return {queues, redis.call('ZCARD', p .. 'd'), redis.call('SCARD', p .. 'r'), x, workers}
"""
)
