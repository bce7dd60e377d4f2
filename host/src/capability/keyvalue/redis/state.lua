-- One operation on one handler's state, in one step. KEYS: its values by their keys, where the field without a name says
-- how many bytes they take; its keys in order; the ends of those that do not last for ever, in milliseconds since 1970;
-- and a place to add in. ARGV: the operation, and what it takes. What may be missing is '-', or '+' and what it is.
--
-- Numbers in Lua are doubles: sizes and times fit into them, what handlers count does not, and is Redis' to add.
local values, order, ends, sum = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- What a key and its value count for beside their letters, as in the other stores.
local ENTRY = 128
-- Keys that are taken away at once.
local SWEEP = 1000

local function given(text)
  return text:sub(1, 1) == '+' and text:sub(2)
end

local function lasts(key)
  local till = redis.call('ZSCORE', ends, key)
  return not till or tonumber(till) > now
end

-- The value of a key; false where there is none, or its time is over.
local function lasting(key)
  return lasts(key) and redis.call('HGET', values, key)
end

-- What a key takes, whether its time is over or not.
local function size(key)
  if redis.call('HEXISTS', values, key) == 0 then return 0 end
  return #key + ENTRY + redis.call('HSTRLEN', values, key)
end

local function drop(key)
  redis.call('HDEL', values, key)
  redis.call('ZREM', order, key)
  redis.call('ZREM', ends, key)
end

-- Takes away some of what has lasted its time. Returns whether there may be more.
local function sweep()
  local over, freed = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, SWEEP), 0
  for _, key in ipairs(over) do
    freed = freed + size(key)
    drop(key)
  end
  if freed > 0 then redis.call('HINCRBY', values, '', -freed) end
  return #over == SWEEP
end

-- What is used after some writes.
local function after(writes)
  local used = tonumber(redis.call('HGET', values, '') or 0)
  for _, write in ipairs(writes) do
    used = used - size(write.key)
    if write.value then used = used + #write.key + ENTRY + #write.value end
  end
  return used
end

-- All writes, or none where they are more than the quota.
local function put(writes, quota)
  local more = sweep()
  local used = after(writes)
  if used > quota and more then
    while sweep() do end
    used = after(writes)
  end
  if used > quota then return false end
  for _, write in ipairs(writes) do
    if not write.value then
      drop(write.key)
    else
      redis.call('HSET', values, write.key, write.value)
      redis.call('ZADD', order, 0, write.key)
      if write.till then
        redis.call('ZADD', ends, write.till, write.key)
      else
        redis.call('ZREM', ends, write.key)
      end
    end
  end
  redis.call('HSET', values, '', used)
  return true
end

-- A number as Redis writes one; nothing where it is none. Without patterns that try again: a value may have megabytes.
local function number(text)
  if not text:find('^[+-]?[0-9]+$') then return nil end
  local digits = text:gsub('^[+-]?0*', '')
  if digits == '' then return '0' end
  return (text:sub(1, 1) == '-' and '-' or '') .. digits
end

local operations = {}

-- A key.
function operations.get()
  return lasting(ARGV[2])
end

-- The quota; and each a key, a value or none, and for how many milliseconds or none.
function operations.write()
  local writes = {}
  for at = 3, #ARGV, 3 do
    local ttl = given(ARGV[at + 2])
    writes[#writes + 1] = { key = ARGV[at], value = given(ARGV[at + 1]), till = ttl and now + tonumber(ttl) }
  end
  return redis.status_reply(put(writes, tonumber(ARGV[2])) and 'OK' or 'QUOTA')
end

-- The quota, a key, and what to add.
function operations.increment()
  local key, before = ARGV[3], lasting(ARGV[3])
  local from = number(before or '0')
  if not from then return redis.status_reply('NUMBER') end
  redis.call('SET', sum, from)
  local added = redis.pcall('INCRBY', sum, ARGV[4])
  local result = redis.call('GET', sum)
  redis.call('DEL', sum)
  -- Too large, before or after.
  if type(added) == 'table' and added.err then return redis.status_reply('NUMBER') end
  local till = before and redis.call('ZSCORE', ends, key)
  if not put({ { key = key, value = result, till = till } }, tonumber(ARGV[2])) then
    return redis.status_reply('QUOTA')
  end
  return result
end

-- The quota, a key, the value that is expected, and the one in its place.
function operations.swap()
  if lasting(ARGV[3]) ~= given(ARGV[4]) then return redis.status_reply('OTHER') end
  local written = put({ { key = ARGV[3], value = given(ARGV[5]) } }, tonumber(ARGV[2]))
  return redis.status_reply(written and 'OK' or 'QUOTA')
end

-- The key to go on behind, how many are wanted, and how many are looked at. Where to go on comes first, if anywhere.
function operations.keys()
  local from, most, left, found, last = given(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), { '-' }, nil
  from = from and '(' .. from or '-'
  while true do
    local keys = redis.call('ZRANGEBYLEX', order, from, '+', 'LIMIT', 0, most + 1)
    for _, key in ipairs(keys) do
      if #found > most or left == 0 then
        found[1] = '+' .. last
        return found
      end
      if lasts(key) then found[#found + 1] = key end
      left, last, from = left - 1, key, '(' .. key
    end
    if #keys <= most then return found end
  end
end

return operations[ARGV[1]]()
