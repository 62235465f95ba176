"""What several of the scripts do, in Lua."""

from __future__ import annotations

SHARED = """
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
