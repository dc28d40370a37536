# SPDX-License-Identifier: MIT
# Read by tools/check.sh: the files under config/ beside the configuration itself (whose test is tests/server/config_test.c), each by
# the tool of whom it is for. Where a tool is not installed, its line says so and counts for nothing.

# check_with TOOL NAME COMMAND...: runs the command where there is the tool.
check_with()
{
    tool=$1 name=$2
    shift 2
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "--      $name ($tool is not installed)"
        return
    fi
    "$@" >"$log" 2>&1
    report "$name" $?
}

# The service is verified with a program that exists.
verify_units()
{
    folder=$(mktemp -d)
    sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' config/convolved.service >"$folder/convolved.service"
    cp config/convolved.socket "$folder/convolved.socket"
    systemd-analyze verify "$folder/convolved.service" "$folder/convolved.socket"
    status=$?
    rm -rf "$folder"
    return $status
}

# Every name that the dashboard asks for is one of metrics.def, with what a histogram adds to it.
check_dashboard()
{
    python3 - <<'END'
import json, re
dashboard = json.load(open("config/grafana.json"))
known = set()
for name, kind in re.findall(r'^METRIC\((\w+), "(\w+)"', open("server/metrics.def").read(), re.M):
    known |= {"convolved_" + name + end for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
asked = set()
for panel in dashboard["panels"]:
    for target in panel["targets"]:
        asked |= set(re.findall(r"\bconvolved_\w+", target["expr"]))
assert len(asked) > 8 and asked <= known, sorted(asked - known)
END
}

# The kinds that the contract names, and what must agree between them.
check_kubernetes()
{
    python3 - <<'END'
import yaml
documents = {d["kind"]: d for d in yaml.safe_load_all(open("config/kubernetes.yaml"))}
assert set(documents) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}, set(documents)
deployment = documents["Deployment"]
pod = deployment["spec"]["template"]
labels = pod["metadata"]["labels"]
container = pod["spec"]["containers"][0]
for selector in (deployment["spec"]["selector"]["matchLabels"], documents["Service"]["spec"]["selector"],
                 documents["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]):
    assert selector.items() <= labels.items(), selector
ports = {p["name"]: p["containerPort"] for p in container["ports"]}
environment = {e["name"]: e["value"] for e in container["env"]}
assert environment["CONVOLVED_LISTEN"].endswith(":%d" % ports["http"])
assert environment["CONVOLVED_METRICS_LISTEN"].endswith(":%d" % ports["metrics"])
assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
assert documents["Service"]["spec"]["ports"][0]["targetPort"] in ports
assert documents["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
assert documents["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > documents["PodDisruptionBudget"]["spec"]["minAvailable"]
END
}

has_yaml()
{
    python3 -c 'import yaml' >/dev/null 2>&1
}

check_with systemd-analyze "convolved.service gives up what it can (exposure at most 1.5)" \
    systemd-analyze security --offline=true --threshold=15 config/convolved.service
check_with systemd-analyze "the units are right" verify_units
check_with haproxy "haproxy.cfg is right" haproxy -c -f config/haproxy.cfg
check_with promtool "prometheus.yml is right" promtool check config config/prometheus.yml
check_with python3 "the dashboard asks for metrics that there are" check_dashboard
if has_yaml; then
    check_with python3 "kubernetes.yaml agrees with itself" check_kubernetes
else
    echo "--      kubernetes.yaml agrees with itself (Python has no yaml)"
fi
