"""What workers do to tasks on a Redis server."""

from __future__ import annotations

from colibris.taskqueue.stores.redis_scripts.shared import SHARED

#: queue, worker, how many, an id that was moved already or '': ids and messages in turn
TAKE = (
    SHARED
    + """
local queue, worker, count, first = unpack(ARGV)
local held = p .. 'h:' .. worker .. ':' .. queue
local taken = {}
local function take(id)
    local found = redis.call('HMGET', task(id), 'm', 's')
    if found[1] and not finished(found[2]) then
        taken[#taken + 1] = id
        taken[#taken + 1] = found[1]
    else
        redis.call('LREM', held, 1, id)
    end
end
if first ~= '' then take(first) end
for _ = 1, tonumber(count) do
    local id = redis.call('LMOVE', p .. 'q:' .. queue, held, 'LEFT', 'RIGHT')
    if not id then break end
    take(id)
end
return taken
"""
)

#: id, worker, queue, message ('' unless the broker is apart), after how long a worker is dead: the status, and how
#: often workers died of the task
BEGIN = (
    SHARED
    + """
local id, worker, queue, data, timeout = unpack(ARGV)
local key = task(id)
local held = p .. 'h:' .. worker .. ':' .. queue
local apart = data ~= ''
if not apart and not redis.call('LPOS', held, id) then return {'unknown', 0} end
local found = redis.call('HMGET', key, 's', 'w', 'l')
if finished(found[1]) then
    redis.call('LREM', held, 1, id)
    return {found[1], 0}
end
if not found[1] then
    if not apart then
        redis.call('LREM', held, 1, id)
        return {'unknown', 0}
    end
    redis.call('HSET', key, 'm', data, 'q', queue, 'a', now)
end
local losses = tonumber(found[3] or '0')
if found[1] == 'running' and found[2] ~= worker then
    local seen = redis.call('ZSCORE', p .. 'w', found[2])
    if seen and tonumber(seen) > now - tonumber(timeout) then return {'queued', losses} end
    losses = redis.call('HINCRBY', key, 'l', 1)
end
redis.call('HSET', key, 's', 'running', 'w', worker)
redis.call('SADD', p .. 'r', id)
if apart then
    redis.call('ZREM', p .. 'z:' .. queue, id)
    redis.call('ZREM', p .. 'd', id)
    redis.call('PERSIST', key)
    local unique = redis.call('HGET', key, 'u')
    if unique then redis.call('PERSIST', p .. 'u:' .. unique) end
end
return {'running', losses}
"""
)

#: id, worker, queue, status, outcome, its lifetime, the message of a further try, the delay, whether the broker is
#: apart, whether the worker takes the next task of the queue at once: that, running, as id, message and losses
SETTLE = (
    SHARED
    + """
local id, worker, queue, status, outcome, lifetime, data, delay, apart, more = unpack(ARGV)
local held = p .. 'h:' .. worker .. ':' .. queue
local mine = apart ~= '1' and redis.call('LREM', held, 1, id) or 0
if status ~= 'delayed' then
    local done = finish(id, status, outcome, lifetime)
    if done == 1 and mine == 0 and apart ~= '1' then redis.call('LREM', p .. 'q:' .. queue, 1, id) end
else
    local found = redis.call('HMGET', task(id), 's', 'w')
    if found[1] == 'running' and found[2] == worker then
        redis.call('HSET', task(id), 'm', data, 's', 'delayed')
        redis.call('HDEL', task(id), 'w')
        redis.call('SREM', p .. 'r', id)
        steady()
        redis.call('ZADD', p .. 'd', now + delay, id)
    end
end
while more == '1' do
    local other = redis.call('LMOVE', p .. 'q:' .. queue, held, 'LEFT', 'RIGHT')
    if not other then break end
    local found = redis.call('HMGET', task(other), 'm', 's', 'l')
    if found[1] and not finished(found[2]) then
        redis.call('HSET', task(other), 's', 'running', 'w', worker)
        redis.call('SADD', p .. 'r', other)
        return {other, found[1], tonumber(found[3] or '0')}
    end
    redis.call('LREM', held, 1, other)
end
return {}
"""
)

#: worker, what it says of itself, after how long one is dead, how long dead letters are kept, whether the broker is
#: apart, whether to look at those that have gone: the time until something is due, -1 if nothing is
BEAT = (
    SHARED
    + """
local worker, info, timeout, dead_lifetime, apart, thorough = unpack(ARGV)
steady()
redis.call('ZADD', p .. 'w', now, worker)
redis.call('ZREM', p .. 'g', worker)
redis.call('HSET', p .. 'i', worker, info)
for _, other in ipairs(redis.call('ZRANGEBYSCORE', p .. 'w', '(' .. now, '+inf')) do
    redis.call('ZADD', p .. 'w', now, other)
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', p .. 'w', '-inf', now - timeout)) do
    give_back(other, true)
end
if thorough == '1' then
    redis.call('ZREMRANGEBYSCORE', p .. 'x', '-inf', now - dead_lifetime)
    for _, other in ipairs(redis.call('ZRANGE', p .. 'g', 0, -1)) do
        give_back(other, false)
        if redis.call('ZSCORE', p .. 'g', other) + 0 < now - 3600000 then
            redis.call('ZREM', p .. 'g', other)
            redis.call('HDEL', p .. 'i', other)
        end
    end
end
if apart == '1' then
    local waiting = {p .. 'd'}
    for i, queue in ipairs(thorough == '1' and cjson.decode(info)['queues'] or {}) do
        waiting[i + 1] = p .. 'z:' .. queue
    end
    for _, key in ipairs(waiting) do
        for _, id in ipairs(redis.call('ZRANGE', key, 0, 99)) do  -- who was to deliver them may have died meanwhile
            if redis.call('EXISTS', task(id)) == 0 then redis.call('ZREM', key, id) end
        end
    end
    return -1
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'd', '-inf', now, 'LIMIT', 0, 1000)) do
    redis.call('ZREM', p .. 'd', id)
    local found = redis.call('HMGET', task(id), 's', 'q')
    if found[1] == 'delayed' then
        redis.call('HSET', task(id), 's', 'queued', 'a', now)
        redis.call('RPUSH', p .. 'q:' .. found[2], id)
    end
end
local first = redis.call('ZRANGE', p .. 'd', 0, 0, 'WITHSCORES')
return first[2] and math.max(0, first[2] - now) or -1
"""
)

#: worker: puts back what it has
LEAVE = SHARED + 'give_back(ARGV[1], false)\n'

#: worker, its queues' broker being apart: what runs in it is put back by that broker
LEAVE_APART = (
    SHARED
    + """
for _, id in ipairs(redis.call('SMEMBERS', p .. 'r')) do
    local found = redis.call('HMGET', task(id), 'w', 'q')
    if found[1] == ARGV[1] then
        redis.call('HSET', task(id), 's', 'queued')
        redis.call('SREM', p .. 'r', id)
        redis.call('ZADD', p .. 'z:' .. found[2], now, id)
    end
end
give_back(ARGV[1], false)
"""
)

#: id, worker, queue: puts back what was taken and not begun
RETURN = """
local p = KEYS[1]
local id, worker, queue = unpack(ARGV)
if redis.call('LREM', p .. 'h:' .. worker .. ':' .. queue, 1, id) == 1 then
    redis.call('LPUSH', p .. 'q:' .. queue, id)
    if redis.call('HGET', p .. 't:' .. id, 's') == 'running' then
        redis.call('HSET', p .. 't:' .. id, 's', 'queued')
        redis.call('SREM', p .. 'r', id)
    end
end
"""

#: worker, queue: the ids that it has taken
HELD = "return redis.call('LRANGE', KEYS[1] .. 'h:' .. ARGV[1] .. ':' .. ARGV[2], 0, -1)"
