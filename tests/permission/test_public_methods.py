"""The contract of the permission backends accepts a simple backend, and refuses broken ones."""

import re
from threading import Lock

import pytest

from cliquet.permission import PermissionBase, bound_patterns, bound_permissions
from cliquet.testing.contracts import PermissionContract
from tests.refusals import check_refusal


class PublicMethodsPermission(PermissionBase):
    """A backend that implements the public methods of 3.1, with sets that it replaces."""

    def __init__(self):
        self.mutex = Lock()
        self.flush()

    def initialize_schema(self):
        pass

    def flush(self):
        self.users = frozenset()  # user id, principal
        self.entries = frozenset()  # object id, permission, principal

    def add_user_principal(self, user_id, principal):
        with self.mutex:
            self.users |= {(user_id, principal)}

    def remove_user_principal(self, user_id, principal):
        with self.mutex:
            self.users -= {(user_id, principal)}

    def remove_principal(self, principal):
        with self.mutex:
            self.users = frozenset(pair for pair in self.users if pair[1] != principal)

    def user_principals(self, user_id):
        return {principal for user, principal in self.users if user == user_id}

    def add_principal_to_ace(self, object_id, permission, principal):
        with self.mutex:
            self.entries |= {(object_id, permission, principal)}

    def remove_principal_from_ace(self, object_id, permission, principal):
        with self.mutex:
            self.entries -= {(object_id, permission, principal)}

    def object_permission_authorized_principals(
        self, object_id, permission, get_bound_permissions=None
    ):
        pairs = bound_permissions(object_id, permission, get_bound_permissions)
        return {entry[2] for entry in self.entries if entry[:2] in pairs}

    def principals_accessible_objects(
        self, principals, permission, object_id_match=None, get_bound_permissions=None
    ):
        patterns = bound_patterns(object_id_match, permission, get_bound_permissions)
        principals = set(principals)
        return {
            object_id
            for object_id, granted, principal in self.entries
            if principal in principals
            and any(granted == name and pattern.matches(object_id) for pattern, name in patterns)
        }

    def object_permissions(self, object_id, permissions=None):
        names = None if permissions is None else set(permissions)
        granted = {}
        for entry_id, permission, principal in self.entries:
            if entry_id == object_id and (names is None or permission in names):
                granted.setdefault(permission, set()).add(principal)
        return granted

    def replace_object_permissions(self, object_id, permissions):
        replaced = [(object_id, permission) for permission in permissions]
        added = {(object_id, name, each) for name, all_ in permissions.items() for each in all_}
        with self.mutex:
            kept = {entry for entry in self.entries if entry[:2] not in replaced}
            self.entries = frozenset(kept | added)

    def delete_object_permissions(self, *object_id_list):
        with self.mutex:
            self.entries = frozenset(e for e in self.entries if e[0] not in object_id_list)


class TestContract(PermissionContract):
    @pytest.fixture
    def backend(self):
        return PublicMethodsPermission()


class Broken(PublicMethodsPermission):
    """Base class of the broken variants; ``refused_by`` names a test of the contract."""

    refused_by: str


class AddsNoPrincipals(Broken):
    refused_by = "test_user_has_the_added_principals"

    def add_user_principal(self, user_id, principal):
        pass


class CountsPrincipals(Broken):
    refused_by = "test_principal_added_twice_is_removed_once"

    def remove_user_principal(self, user_id, principal):
        self.removed = not getattr(self, "removed", False)
        if not self.removed:
            super().remove_user_principal(user_id, principal)


class RemovesPrincipalFromEveryUser(Broken):
    refused_by = "test_principal_is_removed_from_one_user_only"

    def remove_user_principal(self, user_id, principal):
        self.remove_principal(principal)


class RemovesPrincipalFromOneUser(Broken):
    refused_by = "test_principal_is_removed_from_every_user"

    def remove_principal(self, principal):
        users = sorted(user for user, each in self.users if each == principal)
        for user_id in users[:1]:
            self.remove_user_principal(user_id, principal)


class WithdrawsPermissionsOfRemovedPrincipals(Broken):
    refused_by = "test_removing_a_principal_from_users_keeps_the_permissions"

    def remove_principal(self, principal):
        super().remove_principal(principal)
        self.entries = frozenset(entry for entry in self.entries if entry[2] != principal)


class KeepsUsersOfReplacedPrincipals(Broken):
    refused_by = "test_replacing_the_users_of_principals_leaves_other_principals"

    def replace_principal_users(self, users):
        for principal, user_ids in users.items():
            for user_id in user_ids:
                self.add_user_principal(user_id, principal)


class GrantsOnEveryObject(Broken):
    refused_by = "test_permission_is_granted_on_one_object"

    def object_permission_authorized_principals(self, object_id, permission, bound=None):
        return {entry[2] for entry in self.entries if entry[1] == permission}


class GrantsEveryPermission(Broken):
    refused_by = "test_a_permission_is_checked_for_any_of_the_principals"

    def check_permission(self, object_id, permission, principals, get_bound_permissions=None):
        granted = {entry[2] for entry in self.entries if entry[0] == object_id}
        return not granted.isdisjoint(principals)


class GrantsBelowObjects(Broken):
    refused_by = "test_a_permission_is_checked_for_any_of_the_principals"

    def check_permission(self, object_id, permission, principals, get_bound_permissions=None):
        parent = object_id.rpartition("/")[0]
        return any(
            super(GrantsBelowObjects, self).check_permission(each, permission, set(principals))
            for each in (object_id, parent)
        )


class ChecksTheFirstPrincipal(Broken):
    refused_by = "test_a_permission_is_checked_for_any_of_the_principals"

    def check_permission(self, object_id, permission, principals, get_bound_permissions=None):
        first = list(principals)[:1]
        return super().check_permission(object_id, permission, first, get_bound_permissions)


class IgnoresBoundPermissions(Broken):
    refused_by = "test_any_bound_permission_grants_the_permission"

    def object_permission_authorized_principals(self, object_id, permission, bound=None):
        return super().object_permission_authorized_principals(object_id, permission)


class GrantsWithoutBoundPermissions(Broken):
    refused_by = "test_when_no_bound_permission_is_returned_nothing_is_granted"

    def object_permission_authorized_principals(self, object_id, permission, bound=None):
        pairs = {(object_id, permission), *(bound(object_id, permission) if bound else ())}
        return super().object_permission_authorized_principals(
            object_id, permission, lambda *names: pairs
        )


class ListsObjectsOfAnyPermission(Broken):
    refused_by = "test_objects_of_any_principal_are_found"

    def principals_accessible_objects(self, principals, permission, *args):
        principals = set(principals)
        return {entry[0] for entry in self.entries if entry[2] in principals}


class IgnoresPatterns(Broken):
    refused_by = "test_star_in_a_pattern_matches_any_string"

    def principals_accessible_objects(self, principals, permission, match=None, bound=None):
        return super().principals_accessible_objects(principals, permission, None, bound)


class ReadsPatternsAsRegularExpressions(Broken):
    refused_by = "test_star_in_a_pattern_matches_any_string"

    def principals_accessible_objects(self, principals, permission, match=None, bound=None):
        accessible = super().principals_accessible_objects(principals, permission, None, bound)
        pattern = (match or "*").replace("*", ".*")
        return {object_id for object_id in accessible if re.fullmatch(pattern, object_id)}


class MatchesOneSegmentPerStar(Broken):
    refused_by = "test_star_in_a_pattern_matches_any_string"

    def principals_accessible_objects(self, principals, permission, match=None, bound=None):
        accessible = super().principals_accessible_objects(principals, permission, match, bound)
        segments = (match or "*").count("/")
        return {object_id for object_id in accessible if object_id.count("/") <= segments}


class ListsObjectsOutsideThePattern(Broken):
    refused_by = "test_bound_objects_outside_the_pattern_are_omitted"

    def principals_accessible_objects(self, principals, permission, match=None, bound=None):
        pairs = bound_permissions(match or "*", permission, bound)
        accessible = [
            PublicMethodsPermission.principals_accessible_objects(self, principals, name, pattern)
            for pattern, name in pairs
        ]
        return set().union(*accessible)


class IgnoresSelectedPermissions(Broken):
    refused_by = "test_permissions_of_an_object_can_be_selected_by_name"

    def object_permissions(self, object_id, permissions=None):
        return super().object_permissions(object_id)


class SharesItsSets(Broken):
    refused_by = "test_mutating_returned_sets_has_no_effect"

    def object_permissions(self, object_id, permissions=None):
        cached = vars(self).setdefault("cached", {})
        return cached.setdefault(object_id, super().object_permissions(object_id))


class RemovesOtherPermissions(Broken):
    refused_by = "test_replacing_permissions_keeps_other_permissions"

    def replace_object_permissions(self, object_id, permissions):
        self.delete_object_permissions(object_id)
        super().replace_object_permissions(object_id, permissions)


class AddsPermissionsOnly(Broken):
    refused_by = "test_replacing_permissions_keeps_other_permissions"

    def replace_object_permissions(self, object_id, permissions):
        for permission, principals in permissions.items():
            for principal in principals:
                self.add_principal_to_ace(object_id, permission, principal)


class KeepsPermissionsWithoutPrincipals(Broken):
    refused_by = "test_replacing_with_no_principals_removes_the_permission"

    def replace_object_permissions(self, object_id, permissions):
        given = {name: list(principals) for name, principals in permissions.items()}
        filled = {name: principals for name, principals in given.items() if principals}
        super().replace_object_permissions(object_id, filled)


class DeletesPermissionsOfOneObject(Broken):
    refused_by = "test_deleting_permissions_keeps_those_of_other_objects"

    def delete_object_permissions(self, *object_id_list):
        super().delete_object_permissions(*object_id_list[:1])


class DeletesPermissionsByPattern(Broken):
    refused_by = "test_deleting_permissions_has_no_wildcard"

    def delete_object_permissions(self, *object_id_list):
        patterns = [
            pattern for id_ in object_id_list for pattern, _ in bound_patterns(id_, "", None)
        ]
        ids = {entry[0] for entry in self.entries if any(p.matches(entry[0]) for p in patterns)}
        super().delete_object_permissions(*ids)


class FlushesUsersOnly(Broken):
    refused_by = "test_flush_deletes_everything"

    def flush(self):
        entries = getattr(self, "entries", frozenset())
        super().flush()
        self.entries = entries


class FlushesPermissionsOnly(Broken):
    refused_by = "test_flush_deletes_everything"

    def flush(self):
        users = getattr(self, "users", frozenset())
        super().flush()
        self.users = users


class ForgetsOnInitialization(Broken):
    refused_by = "test_initializing_the_schema_again_keeps_everything"

    def initialize_schema(self):
        self.flush()


@pytest.mark.parametrize("broken", Broken.__subclasses__(), ids=lambda cls: cls.__name__)
def test_contract_refuses(broken):
    check_refusal(PermissionContract, broken)
