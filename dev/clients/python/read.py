"""Reads a namespace with the Python client, and prints all that it gets, errors among it."""

import sys

from kubernetes import client, config, dynamic, watch

config.load_kube_config(sys.argv[1])
namespace = sys.argv[2]
core, custom = client.CoreV1Api(), client.CustomObjectsApi()


def say(what, call, *arguments, **named):
    try:
        print(what, call(*arguments, **named))
    except Exception as error:  # whatever it says is what an agent sees
        print(what, "error:", error)


for name in ["secret", "config_map", "pod", "event"]:
    say(name, getattr(core, f"list_namespaced_{name}"), namespace)
say("one", core.read_namespaced_secret, "db", namespace)
say("raw", lambda: core.list_namespaced_secret(namespace, _preload_content=False).data)
say("log", core.read_namespaced_pod_log, "web", namespace)
say("deployment", client.AppsV1Api().list_namespaced_deployment, namespace)
say("job", client.BatchV1Api().list_namespaced_job, namespace)
for plural in ["vaults", "applications"]:
    say(plural, custom.list_namespaced_custom_object, "canaries.example.com", "v1", namespace, plural)
for call in [core.list_namespaced_secret, core.list_namespaced_config_map]:
    say("watch", lambda: list(watch.Watch().stream(call, namespace, timeout_seconds=1)))
resources = dynamic.DynamicClient(client.ApiClient()).resources
vaults = resources.get(api_version="canaries.example.com/v1", kind="Vault")
say("dynamic", vaults.get, namespace=namespace)

config_map = core.read_namespaced_config_map("app", namespace)
config_map.metadata.labels["by"] = "python"
say("replace", core.replace_namespaced_config_map, "app", namespace, config_map)
say("wrong", core.patch_namespaced_config_map, "app", namespace, {"data": {"x": {"y": "z"}}})
