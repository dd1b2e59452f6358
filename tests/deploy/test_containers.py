"""The image, the compose file and the manifest of the documentation: what can be checked of them
without containers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from support.deployments import FOLDER
from support.sidecars import SidecarThread

from celery_wsprogress import setting_sources
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.cli import main
from celery_wsprogress.settings import ServeSettings

SCHEMAS = json.loads(Path(__file__).with_name("kubernetes.schema.json").read_text())["kinds"]
MANIFEST = {
    one["kind"]: one for one in yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
}
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
DOCKERFILE = (FOLDER / "Dockerfile").read_text()

POD = MANIFEST["Deployment"]["spec"]["template"]
[SIDECAR] = POD["spec"]["containers"]
DEFAULTS = ServeSettings()


HEALTH_CHECK, COMMAND = map(json.loads, re.findall(r"^ *CMD (\[.*\])$", DOCKERFILE, re.MULTILINE))
COMMANDS = [COMMAND, COMPOSE["sidecar"]["command"], SIDECAR["args"]]


@pytest.mark.parametrize("words", COMMANDS, ids=["docker", "compose", "kubernetes"])
def test_the_command_is_one_of_this_version_and_serves_every_address(words):
    program, command, *arguments = words
    assert (program, command) == ("celery-wsprogress", "serve")
    outcome = CliRunner().invoke(main, [command, *arguments, "--help"])
    assert outcome.exit_code == 0, outcome.output
    assert "--host=0.0.0.0" in "=".join(arguments)


@pytest.mark.parametrize("kind", MANIFEST)
def test_the_manifest_is_as_kubernetes_wants_it(kind):
    assert [*Draft202012Validator(SCHEMAS[kind]).iter_errors(MANIFEST[kind])] == []


def test_a_wrong_manifest_is_found():
    wrong = json.loads(json.dumps(MANIFEST["Deployment"]))
    [container] = wrong["spec"]["template"]["spec"]["containers"]
    container["livenesProbe"] = container.pop("livenessProbe")
    container["ports"][0]["containerPort"] = "8765"
    found = [*Draft202012Validator(SCHEMAS["Deployment"]).iter_errors(wrong)]
    assert len(found) == 2


def test_each_part_of_the_manifest_is_about_the_same_pods():
    labels = POD["metadata"]["labels"]
    selectors = [
        MANIFEST["Deployment"]["spec"]["selector"]["matchLabels"],
        MANIFEST["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        MANIFEST["Service"]["spec"]["selector"],
        MANIFEST["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        POD["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert [one for one in selectors if one != labels] == []


def test_each_port_leads_to_the_sidecar():
    [port] = SIDECAR["ports"]
    assert port["containerPort"] == DEFAULTS.port
    [of_service] = MANIFEST["Service"]["spec"]["ports"]
    assert of_service["targetPort"] == port["name"]
    [rule] = MANIFEST["Ingress"]["spec"]["rules"]
    [path] = rule["http"]["paths"]
    name = MANIFEST["Service"]["metadata"]["name"]
    assert path["backend"]["service"] == {"name": name, "port": {"name": of_service["name"]}}
    [allowed] = MANIFEST["NetworkPolicy"]["spec"]["ingress"]
    assert allowed["ports"] == [{"port": DEFAULTS.port}]
    assert COMPOSE["sidecar"]["ports"] == [f"127.0.0.1:{DEFAULTS.port}:{DEFAULTS.port}"]
    assert f"EXPOSE {DEFAULTS.port}\n" in DOCKERFILE


def test_one_pod_may_go_and_one_stays():
    least = MANIFEST["PodDisruptionBudget"]["spec"]["minAvailable"]
    assert 0 < least < MANIFEST["Deployment"]["spec"]["replicas"]


def test_nobody_is_killed_while_it_closes_connections():
    _, seconds = SIDECAR["lifecycle"]["preStop"]["exec"]["command"]
    needed = DEFAULTS.drain + 10
    assert POD["spec"]["terminationGracePeriodSeconds"] >= int(seconds) + needed
    assert int(COMPOSE["sidecar"]["stop_grace_period"].removesuffix("s")) >= needed


def test_the_variables_are_settings():
    names = [one["name"] for one in SIDECAR["env"]]
    for given in (names, COMPOSE["sidecar"]["environment"]):
        assert "WSPROGRESS_KEY" in given
        ours = {name: "k" * 40 for name in given if name.startswith("WSPROGRESS")}
        found = setting_sources.from_environ(ours, ServeSettings)
        # Which may then be served on every address.
        settings = ServeSettings.load({**found, "host": "0.0.0.0"})
        assert settings.may_be_served


def test_the_services_of_compose_know_each_other():
    for one in COMPOSE.values():
        assert one.get("depends_on", {}).keys() <= COMPOSE.keys()
    of_project = [one for one in COMPOSE.values() if one["image"] == "proj"]
    assert len(of_project) == 3
    assert [one["build"] for one in of_project if "build" in one] == ["."]
    [worker, flower] = [COMPOSE[name]["command"] for name in ("worker", "flower")]
    assert worker[:4] == ["celery", "-A", "proj", "worker"]
    assert flower[:4] == ["celery", "-A", "proj", "flower"]


def test_nothing_runs_as_root():
    [user] = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert f"--uid {user} " in DOCKERFILE
    assert POD["spec"]["securityContext"]["runAsUser"] == int(user) > 0
    assert POD["spec"]["securityContext"]["runAsNonRoot"]


@pytest.fixture(scope="module")
def sidecar():
    """One whose broker is away."""
    with SidecarThread(BrokerAddress("redis://localhost:1/0"), wait=False) as one:
        yield one


def test_the_probes_ask_for_what_there_is(sidecar):
    def ask(path):
        request = urllib.request.Request(f"http://127.0.0.1:{sidecar.port}{path}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as exc:
            return exc.code

    asked = {name: SIDECAR[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")}
    assert {name: ask(path) for name, path in asked.items()} == {"liveness": 200, "readiness": 503}


def test_the_check_of_the_image_finds_out_whether_it_lives(sidecar):
    program, *arguments = HEALTH_CHECK
    assert program == "python"

    def check(port):
        words = [one.replace(str(DEFAULTS.port), str(port)) for one in arguments]
        return subprocess.run([sys.executable, *words], capture_output=True, check=False).returncode

    assert check(sidecar.port) == 0
    assert check(1) != 0
