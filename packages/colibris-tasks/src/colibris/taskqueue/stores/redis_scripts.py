"""What is done on a Redis server in one step each: Lua scripts, which run whole or not at all.

Below the prefix, the only key that they are given, lie:

``t:ID``       a task, a hash: ``m`` its message, ``s`` its status, ``q`` its queue, ``a`` and ``f`` when it was added
               and finished, ``o`` its outcome, ``u`` its unique key, ``c`` the channels that are to hear how it ends,
               ``w`` the worker that runs it, ``l`` how often a worker died of it
``q:QUEUE``    ids that wait, a list
``z:QUEUE``    ids that wait in a broker apart from Redis, by the time they were added
``h:W:QUEUE``  ids that the worker W has taken, a list
``d``          ids that wait for their time, by that time
``x``          ids of dead letters, by the time they failed
``r``          ids that run
``u:KEY``      the id of the unfinished task that holds a unique key
``w``          workers, by their last sign of life
``i``          what the workers say of themselves, JSON
``g``          workers that have gone, by when: one that was ending, or seemed dead, may have taken something since
``n``          the latest time that was seen: where it lies ahead, the server's clock was set back
``c:CHANNEL``  a channel: an id of 32 characters, followed by the outcome unless that is long

Times are in milliseconds, by the server's clock.
"""

from __future__ import annotations

_SHARED = """
local p = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function task(id) return p .. 't:' .. id end

local function finished(status)
    return status == 'succeeded' or status == 'failed' or status == 'cancelled'
end

local function steady()
    local last = tonumber(redis.call('GET', p .. 'n') or '0')
    if now < last - 1000 then
        for _, id in ipairs(redis.call('ZRANGE', p .. 'd', 0, -1)) do
            redis.call('ZINCRBY', p .. 'd', now - last, id)
        end
    end
    redis.call('SET', p .. 'n', now)
end

local function tell(channels, id, outcome)
    if #outcome > 65536 then outcome = '' end
    for channel in string.gmatch(channels, '%S+') do
        redis.call('PUBLISH', p .. 'c:' .. channel, id .. outcome)
    end
end

local function hear(key, channels, channel)
    if channel ~= '' and not (channels and string.find(channels, channel, 1, true)) then
        redis.call('HSET', key, 'c', (channels and channels .. ' ' or '') .. channel)
    end
end

local function finish(id, status, outcome, lifetime)
    local key = task(id)
    local found = redis.call('HMGET', key, 's', 'c', 'u')
    if not found[1] or finished(found[1]) then return 0 end
    redis.call('HSET', key, 's', status, 'o', outcome, 'f', now)
    if status == 'failed' then
        redis.call('HDEL', key, 'c', 'w', 'u')
        redis.call('ZADD', p .. 'x', now, id)
    else
        redis.call('HDEL', key, 'c', 'w', 'u', 'm')
    end
    redis.call('PEXPIRE', key, lifetime)
    redis.call('SREM', p .. 'r', id)
    if found[3] and redis.call('GET', p .. 'u:' .. found[3]) == id then
        redis.call('DEL', p .. 'u:' .. found[3])
    end
    if found[2] then tell(found[2], id, outcome) end
    return 1
end

local function give_back(worker, lossy)
    local info = redis.call('HGET', p .. 'i', worker)
    for _, queue in ipairs(info and cjson.decode(info)['queues'] or {}) do
        while true do
            local id = redis.call('LMOVE', p .. 'h:' .. worker .. ':' .. queue, p .. 'q:' .. queue, 'RIGHT', 'LEFT')
            if not id then break end
            local status = redis.call('HGET', task(id), 's')
            if not status or finished(status) then
                redis.call('LREM', p .. 'q:' .. queue, 1, id)
            elseif status == 'running' then
                redis.call('HSET', task(id), 's', 'queued')
                redis.call('SREM', p .. 'r', id)
                if lossy then redis.call('HINCRBY', task(id), 'l', 1) end
            end
        end
    end
    if redis.call('ZREM', p .. 'w', worker) == 1 then redis.call('ZADD', p .. 'g', now, worker) end
end
"""

#: id, message, queue, unique key, delay, channel, whether the broker is apart
ADD = (
    _SHARED
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
    _SHARED
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
    _SHARED
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

#: queue, worker, how many, an id that was moved already or '': ids and messages in turn
TAKE = (
    _SHARED
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
    _SHARED
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
    _SHARED
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
    _SHARED
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
LEAVE = _SHARED + 'give_back(ARGV[1], false)\n'

#: worker, its queues' broker being apart: what runs in it is put back by that broker
LEAVE_APART = (
    _SHARED
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

#: ids: their records and unique keys last
CONFIRM = (
    _SHARED
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
    _SHARED
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
    _SHARED
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
    _SHARED
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
    _SHARED
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
