-- The keys of permissions: the scripts begin with this file.
local PREFIX = 'cliquet.permission.'

-- The principals of a user; the users that have a principal.
local function principals_key(user) return PREFIX .. 'principals:' .. user end
local function users_key(principal) return PREFIX .. 'users:' .. principal end

-- The permissions on an object.
local function permissions_key(object) return PREFIX .. 'permissions:' .. object end

-- The principals that have a permission on an object; the objects, in a sorted set in which
-- those that begin alike are together, on which a principal has a permission. With the length
-- of one text no two couples have the same key.
local function entry_key(object, permission)
  return PREFIX .. 'entry:' .. #permission .. ':' .. permission .. ':' .. object
end
local function objects_key(principal, permission)
  return PREFIX .. 'objects:' .. #permission .. ':' .. permission .. ':' .. principal
end
