-- Keys of the permissions: the scripts begin with this file.
local PREFIX = 'cliquet.permission.'

-- The principals of a user, and the users that have a principal.
local function principals_key(user) return PREFIX .. 'principals:' .. user end
local function users_key(principal) return PREFIX .. 'users:' .. principal end

-- The permissions on an object.
local function permissions_key(object) return PREFIX .. 'permissions:' .. object end

-- The principals that have a permission on an object, and, sorted by id, the objects on which a
-- principal has a permission. The length of one string makes the key of a pair
-- unambiguous.
local function entry_key(object, permission)
  return PREFIX .. 'entry:' .. #permission .. ':' .. permission .. ':' .. object
end
local function objects_key(principal, permission)
  return PREFIX .. 'objects:' .. #permission .. ':' .. permission .. ':' .. principal
end
