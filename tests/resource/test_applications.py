"""Resources used in the ways of existing applications."""

import pytest
from pyramid.httpexceptions import HTTPConflict
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet.authorization import RouteFactory
from cliquet.events import ACTIONS, ResourceChanged
from cliquet.resource import Filter, Sort
from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.storage.generators import Generator
from cliquet.utils import COMPARISON, build_request, reapply_cors
from tests.resource.apps import (
    ENGINES,
    AnyFields,
    Card,
    Note,
    Page,
    ShareableResource,
    UserResource,
)

pytestmark = pytest.mark.parametrize("engine", ENGINES)


# Resources made by hand, inside another view.


class Bucket(ShareableResource):
    mapping = AnyFields()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model.id_generator = Words()


class Words(Generator):
    regexp = r"^[a-z]+$"

    def __call__(self):
        return "word"


def service_that(view, name="maker", **arguments):
    """A function that adds a service to an application."""
    service = cliquet.Service(name=name, path=f"/{name}")
    service.post(permission=NO_PERMISSION_REQUIRED, **arguments)(view)
    return lambda config: config.add_cornice_service(service)


def make_bucket(request, bucket_id="default"):
    """Create a default bucket, as the view of an application does."""
    context = RouteFactory(request)
    context.get_permission_object_id = lambda r, i: f"/buckets/{bucket_id}"
    resource = Bucket(request, context)
    try:
        return resource.model.get_record(bucket_id)
    except RecordNotFoundError:
        bucket = resource.model.create_record({"id": bucket_id})
        request.current_resource_name = "bucket"
        resource.postprocess(bucket, action=ACTIONS.CREATE)
        return bucket


@pytest.fixture
def events():
    return []


@pytest.fixture
def heard(events):
    def setup(config):
        config.add_subscriber(events.append, ResourceChanged)

    return setup


def both(*setups):
    def setup(config):
        for one in setups:
            one(config)

    return setup


def test_resource_is_created_inside_another_view(build, heard, events):
    api = build(Bucket, setup=both(heard, service_that(lambda request: make_bucket(request))))
    alice = api.user("alice")
    bucket = alice.send("POST", "/maker", {}).json
    assert bucket["__permissions__"] == {"write": [alice.id]}
    assert api.permission.object_permissions("/buckets/default") == {"write": {alice.id}}
    assert alice.patch("/buckets/default", {"n": 1}).json["data"]["n"] == 1
    event = events[0]
    assert event.payload["resource_name"] == "bucket"
    assert event.payload["action"] == "create"
    assert event.payload["uri"] == "/maker"
    (impacted,) = event.impacted_records
    assert impacted["new"]["id"] == "default"
    assert "__permissions__" not in impacted["new"]


def test_writes_of_a_failing_view_are_undone(build, heard, events):
    def view(request):
        make_bucket(request)
        raise HTTPConflict()

    api = build(Bucket, setup=both(heard, service_that(view)))
    alice = api.user("alice")
    alice.send("POST", "/maker", {}, status=409)
    alice.get("/buckets/default", status=403)
    assert api.permission.object_permissions("/buckets/default") == {}
    assert events == []


def test_resource_created_by_hand_responds_and_deletes(build):
    def view(request):
        bucket = make_bucket(request)
        context = RouteFactory(request)
        context.get_permission_object_id = lambda r, i: "/buckets/default"
        resource = Bucket(request, context)
        return resource.model.delete_record(bucket)

    api = build(Bucket, setup=service_that(view))
    tombstone = api.user("alice").send("POST", "/maker", {}).json
    assert tombstone["deleted"] is True
    assert api.permission.object_permissions("/buckets/default") == {}


def test_model_and_storage_are_safe_outside_of_endpoints(build):
    """Also where the code knows nothing of locks, of a view, or of what others write."""

    def view(request):
        resource = Card(request, RouteFactory(request))
        model = resource.model
        first = model.create_record({"number": 1}, unique_fields=("number",))
        with pytest.raises(UnicityError):
            model.create_record({"number": 1}, unique_fields=("number",))
        model.update_record({**first, "n": 1})
        request.registry.storage.create("card", resource.model.parent_id, {"number": 2})
        records, total = model.get_records(
            filters=[Filter("number", 1, COMPARISON.MIN)], sorting=[Sort("number", -1)]
        )
        return {"numbers": [record["number"] for record in records], "total": total}

    alice = build(Card, setup=service_that(view)).user("alice")
    assert alice.send("POST", "/maker", {}).json == {"numbers": [2, 1], "total": 2}
    assert alice.values("/cards?_sort=number", "number") == [1, 2]


def test_name_of_the_resource_can_be_assigned(build):
    seen = []

    def view(request):
        request.current_resource_name = "x"
        seen.append(request.current_resource_name)
        request.notify_resource_event(timestamp=1, data={"id": "a"}, action=ACTIONS.CREATE)
        return [event.payload["resource_name"] for event in request.get_resource_events()]

    api = build(Note, setup=service_that(view))
    assert api.send("POST", "/maker", {}).json == ["x"]
    assert seen == ["x"]


def test_views_forge_requests_and_follow_them(build):
    def view(request):
        forged = build_request(
            request, {"method": "POST", "path": "/notes", "body": {"data": {"n": 1}}}
        )
        created = request.invoke_subrequest(forged)
        forged = build_request(request, {"path": f"/notes/{created.json['data']['id']}"})
        response, followed = request.follow_subrequest(forged)
        assert followed.parent is request
        return reapply_cors(request, response)

    api = build(Note, setup=service_that(view))
    response = api.user("alice").send("POST", "/maker", {}, {"Origin": "http://a.example"})
    assert response.json["data"]["n"] == 1
    assert response.headers["Access-Control-Allow-Origin"] in ("*", "http://a.example")


# The context of every request.


def test_factory_of_resources_can_be_that_of_every_route(build):
    seen = []

    class Factory(RouteFactory):
        def __init__(self, request):
            super().__init__(request)
            seen.append(self)

    def view(request):
        context = request.context
        return [context.resource_name, context.on_collection, context.required_permission]

    api = build(Note, Page, setup=service_that(view), root_factory=Factory)
    alice = api.user("alice")
    assert alice.send("POST", "/maker", {}).json == [None, False, None]
    alice.get("/unknown", status=404)
    alice.get("/", status=200)
    alice.get("/__heartbeat__", status=200)
    alice.put("/maker", {}, status=405)
    alice.create("/notes")
    page = alice.create("/pages")
    alice.put(f"/pages/{page['id']}", {"n": 1})
    assert len(alice.batch({"path": "/notes"}, {"path": "/unknown"})) == 2
    assert len(seen) > 5


def test_route_factory_serves_as_the_root_factory_as_it_is(build):
    alice = build(Note, Page, root_factory=RouteFactory).user("alice")
    alice.get("/unknown", status=404)
    page = alice.create("/pages")
    alice.delete(f"/pages/{page['id']}", status=200)


# Constructors.


class Shelf(UserResource):
    """Its constructor does all that constructors of applications do."""

    mapping = AnyFields()

    def __init__(self, request, context=None):
        self.room = request.matchdict["room"]
        super().__init__(request, context=context)
        self.model.id_generator = Words()
        _, self.others = request.registry.storage.get_all("shelf", self.get_parent_id(request))
        if self.room == "closed":
            raise HTTPConflict()

    def get_parent_id(self, request):
        return f"room:{self.room}"

    def process_record(self, new, old=None):
        return {**super().process_record(new, old), "others": self.others}


def test_constructor_can_read_the_url_and_query_the_storage(build):
    paths = {
        "collection_path": "/rooms/{{room}}/shelves",
        "record_path": "/rooms/{{room}}/shelves/{{id}}",
    }
    api = build((Shelf, paths))
    alice = api.user("alice")
    shelf = alice.create("/rooms/a/shelves")
    assert (shelf["id"], shelf["others"]) == ("word", 0)
    assert alice.put("/rooms/a/shelves/other", {}, status=201).json["data"]["others"] == 1
    alice.put("/rooms/a/shelves/OTHER", {}, status=400)
    assert alice.list("/rooms/b/shelves") == []
    assert alice.get("/rooms/closed/shelves", status=409).json["code"] == 409


# Overrides


class Strange(UserResource):
    mapping = AnyFields()

    def is_known_field(self, field_name):
        return field_name in ("n", "last_modified")

    def collection_get(self):
        result = super().collection_get()
        self.request.response.headers["X-Count"] = str(len(result["data"]))
        self.request.response.headers["Cache-Control"] = "no-store"
        return {**result, "extra": True}

    def collection_post(self):
        result = super().collection_post()
        self.request.response.status_code = 202
        return result

    def get(self):
        self._raise_400_if_invalid_id(self.record_id)
        record = self._get_record_or_404(self.record_id)
        self._raise_412_if_modified(record)
        self._raise_304_if_not_modified(record)
        self._add_timestamp_header(self.request.response)
        self._add_cache_header(self.request.response)
        return self.postprocess({**record, "fields": self._extract_partial_fields()})

    def _extract_filters(self, queryparams=None):
        return [*super()._extract_filters(queryparams), Filter("hidden", True, COMPARISON.NOT)]

    def postprocess(self, result, action=ACTIONS.READ, old=None):
        if action is ACTIONS.UPDATE:
            result = {**result, "old": old["n"]}
        return super().postprocess(result, action, old)


@pytest.fixture
def stranger(build):
    return build(Strange).user("alice")


def test_endpoints_can_change_the_response(stranger):
    record = stranger.post("/stranges", {"n": 1}, status=202).json["data"]
    response = stranger.get("/stranges")
    assert response.headers["X-Count"] == "1"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json["extra"] is True
    response = stranger.get(f"/stranges/{record['id']}")
    assert response.json["data"]["fields"] is None
    assert response.headers["ETag"] == f'"{record["last_modified"]}"'


def test_known_fields_are_passed_by_position(stranger):
    stranger.get("/stranges?n=1&_sort=n&_fields=n", status=200)
    for query in ("m=1", "_sort=m", "_fields=m", "min_m=1"):
        stranger.get(f"/stranges?{query}", status=400)


def test_filters_can_be_added(stranger):
    stranger.post("/stranges", {"n": 1, "hidden": True})
    stranger.post("/stranges", {"n": 2})
    assert stranger.values("/stranges") == [2]
    stranger.delete("/stranges")
    assert stranger.storage.get_all("strange", stranger.id)[1] == 1


def test_responses_can_be_changed_by_overrides(stranger):
    path = "/stranges/{id}".format(**stranger.post("/stranges", {"n": 1}).json["data"])
    assert stranger.patch(path, {"n": 2}).json["data"]["old"] == 1


class Computed:
    """A model that has nothing of ours, as of plugins that compute their records."""

    id_field, modified_field, deleted_field = "id", "last_modified", "deleted"
    collection_id = "changes"

    def timestamp(self, parent_id=None):
        return 7

    def get_records(self, **kwargs):
        return [{"id": "a", "last_modified": 5}], 1


def test_model_can_be_of_any_class(build):
    class Log(UserResource):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.model = Computed()

    response = build(Log).user("alice").get("/logs")
    assert response.json["data"] == [{"id": "a", "last_modified": 5}]
    assert response.headers["ETag"] == '"7"'


class Guard:
    """A proxy of a storage that hides some records."""

    def __init__(self, storage):
        self._storage = storage

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def get_all(self, *args, **kwargs):
        records, total = self._storage.get_all(*args, **kwargs)
        return [record for record in records if record["id"] != HIDDEN], total - 1

    def get(self, collection_id, parent_id, object_id, **kwargs):
        if object_id == HIDDEN:
            raise RecordNotFoundError(object_id)
        return self._storage.get(collection_id, parent_id, object_id, **kwargs)


HIDDEN = "00000000-0000-4000-8000-000000000000"


def test_proxy_of_the_storage_sees_every_read(build):
    api = build(Note)
    alice = api.user("alice")
    alice.create("/notes", {"n": 1})
    alice.create("/notes", {"n": 2, "id": HIDDEN})
    api.registry.storage = Guard(api.storage)
    assert alice.values("/notes") == [1]
    alice.get(f"/notes/{HIDDEN}", status=404)
    alice.patch(f"/notes/{HIDDEN}", {"n": 3}, status=404)
    alice.delete(f"/notes/{HIDDEN}", status=404)


class FlushedWhileDeleted(Note):
    """A resource whose records another process removes during a request, without the lock."""

    def _extract_deletion_time(self):
        self.model.storage.flush()
        return super()._extract_deletion_time()


def test_deletion_of_a_record_that_has_vanished_since_it_was_read_returns_404(build):
    alice = build(FlushedWhileDeleted).user("alice")
    record = alice.create("/flushedwhiledeleteds", {"n": 1})
    alice.delete(f"/flushedwhiledeleteds/{record['id']}", status=404)


def test_validators_of_a_resource_come_after_its_schema(build):
    def check(request):
        if request.validated.get("data", {}).get("n", 0) > 9:
            request.errors.add("body", "n", "too much")

    arguments = {"default_post_arguments": {"validators": [check]}}
    alice = build((Note, arguments)).user("alice")
    alice.post("/notes", {"n": 1}, status=201)
    assert alice.post("/notes", {"n": 10}, status=400).json["message"] == "n in body: too much"
    alice.send("POST", "/notes", {"data": 1}, status=400)


def test_no_limit_is_that_of_the_storage(build):
    class Endless(UserResource):
        mapping = AnyFields()

        def _extract_limit(self):
            return None

    alice = build(Endless, settings={"storage_max_fetch_size": 2}).user("alice")
    for n in range(3):
        alice.create("/endlesss", {"n": n})
    response = alice.get("/endlesss?_sort=n")
    assert [record["n"] for record in response.json["data"]] == [0, 1]
    assert alice.values(response.headers["Next-Page"]) == [2]


def test_endpoint_can_be_replaced_while_the_application_serves(build, monkeypatch):
    class Own(UserResource):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.collection_get = lambda: {"own": True}

    alice = build(Own, Note).user("alice")
    assert alice.get("/owns").json == {"own": True}

    def fail(self):
        raise HTTPConflict()

    monkeypatch.setattr(Note, "collection_get", fail)
    alice.get("/notes", status=409)


def test_collection_is_the_deprecated_name_of_the_model(build):
    class Old(UserResource):
        mapping = AnyFields()

        def get(self):
            with pytest.warns(DeprecationWarning, match="model"):
                assert self.collection is self.model
            return super().get()

    alice = build(Old).user("alice")
    record = alice.create("/olds")
    alice.get(f"/olds/{record['id']}", status=200)


def test_model_can_be_without_unique_fields(build):
    """As models that applications wrote: they are not given what they don't know."""

    class Plain(UserResource.default_model):
        def create_record(self, record, parent_id=None):
            return super().create_record(record, parent_id)

        def update_record(self, record, parent_id=None):
            return super().update_record(record, parent_id)

    class Memo(UserResource):
        default_model = Plain
        mapping = AnyFields()

    alice = build(Memo).user("alice")
    record = alice.create("/memos", {"n": 1})
    assert alice.patch(f"/memos/{record['id']}", {"n": 2}).json["data"]["n"] == 2


def test_records_can_have_other_names_for_standard_fields(build):
    class Named(UserResource.default_model):
        id_field = "key"
        modified_field = "changed"
        deleted_field = "gone"

    class Memo(UserResource):
        default_model = Named
        mapping = AnyFields()

    alice = build(Memo).user("alice")
    record = alice.create("/memos", {"n": 1, "id": 5})
    assert set(record) == {"n", "id", "key", "changed"}
    path = f"/memos/{record['key']}"
    response = alice.put(path, {"n": 2}, {"If-Match": f'"{record["changed"]}"'})
    assert response.headers["ETag"] == f'"{response.json["data"]["changed"]}"'
    alice.put(path, {"key": "other"}, status=400)
    alice.post("/memos", {"key": record["key"]}, status=200)
    assert alice.list("/memos?_sort=changed&_fields=n") == [
        {key: value for key, value in response.json["data"].items() if key != "id"}
    ]
    tombstone = alice.delete(path).json["data"]
    assert tombstone == {"key": record["key"], "changed": tombstone["changed"], "gone": True}
    assert alice.list("/memos?_since=1") == [tombstone]
    alice.put(path, {"n": 2}, {"If-Match": '"1"'}, status=412)


def test_parent_can_be_nothing(build):
    class Common(UserResource):
        mapping = AnyFields()

        def get_parent_id(self, request):
            return None

    api = build(Common)
    record = api.user("alice").create("/commons")
    assert api.user("bob").list("/commons") == [record]


class TestCache:
    PUBLIC = {"common_cache_expires_seconds": "3600"}

    @pytest.fixture
    def common(self):
        class Common(UserResource):
            mapping = AnyFields()

            def get_parent_id(self, request):
                return "everybody"

        return Common, {"default_arguments": {"permission": NO_PERMISSION_REQUIRED}}

    def test_anonymous_responses_can_be_cached_for_the_set_time(self, build, common):
        api = build(common, settings=self.PUBLIC)
        record = api.create("/commons")
        for path in ("/commons", f"/commons/{record['id']}"):
            response = api.get(path)
            assert response.headers["Cache-Control"] == "max-age=3600"
            assert response.expires is not None

    def test_responses_to_users_cannot_be_cached(self, build, common):
        response = build(common, settings=self.PUBLIC).user("alice").get("/commons")
        assert response.headers["Cache-Control"] == "no-cache"
        assert "Expires" not in response.headers

    @pytest.mark.parametrize("seconds", ["0", 0, ""])
    def test_zero_seconds_mean_no_cache(self, build, common, seconds):
        api = build(common, settings={"common_cache_expires_seconds": seconds})
        record = api.create("/commons")
        for path in ("/commons", f"/commons/{record['id']}"):
            response = api.get(path)
            assert response.headers["Cache-Control"] == "no-cache"
            assert "Expires" not in response.headers

    @pytest.mark.parametrize("user", ["anonymous", "alice"])
    @pytest.mark.parametrize("settings", [{}, PUBLIC])
    @pytest.mark.parametrize("path", ["/commons", "/commons/{id}"])
    def test_a_304_has_the_caching_headers_of_the_200(self, build, common, path, settings, user):
        api = build(common, settings=settings)
        record = api.create("/commons")
        client = api if user == "anonymous" else api.user(user)
        for method in ("GET", "HEAD"):
            whole = client.send(method, path.format(**record))
            same = {"If-None-Match": whole.headers["ETag"]}
            not_modified = client.send(method, path.format(**record), None, same, status=304)
            for name in ("ETag", "Last-Modified", "Vary"):
                assert not_modified.headers[name] == whole.headers[name]
            # As in 3.1, a response that must not be kept has no "no-cache" on its 304.
            is_kept = "Expires" in whole.headers
            control = whole.headers["Cache-Control"] if is_kept else None
            assert not_modified.headers.get("Cache-Control") == control
            assert ("Expires" in not_modified.headers) == is_kept

    def test_responses_cannot_be_cached_without_the_setting(self, build, common):
        assert build(common).get("/commons").headers["Cache-Control"] == "no-cache"
