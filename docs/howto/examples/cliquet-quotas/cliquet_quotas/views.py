from cliquet import Service
from cliquet.authorization import PRIVATE
from cliquet_quotas import count_records

quota = Service(name="quota", path="/quotas/{resource_name}", description="Quota of a user")


@quota.get(permission=PRIVATE)
def get_quota(request):
    used = count_records(request, request.matchdict["resource_name"])
    return {"used": used, "max_records": request.registry.max_records}
