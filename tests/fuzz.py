"""Requests of all shapes at a whole Outrider, made by schemathesis from its OpenAPI document.

`python -m tests.fuzz --seconds 600` (`make fuzz`) starts one, registers a company and lets schemathesis ask every
operation, then sequences of operations whose answers feed one another. `schemathesis.toml` says what counts as a
fault. The exit status is schemathesis's own: 0 when it found nothing.
"""

import argparse
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx2

from tests.stack import RunningOutrider, running_outrider

__all__ = ["LIMITS_OFF", "failed_requests", "fuzz"]

LIMITS_OFF = {
    "OUTRIDER_LIMITS__CALLER_PER_S": "1000000",
    "OUTRIDER_LIMITS__COMPANY_PER_S": "1000000",
    "OUTRIDER_LIMITS__COMPANY_MOST_PER_S": "1000000",
    "OUTRIDER_LIMITS__ADDRESS_PER_S": "1000000",
    "OUTRIDER_LIMITS__SIGN_INS_PER_EMAIL": "1000000",
    "OUTRIDER_LIMITS__SIGN_INS_PER_ADDRESS": "1000000",
}
"""Settings under which nothing is refused for coming too often, so that everything else is met."""

_CONFIG = Path(__file__).parent / "schemathesis.toml"


def fuzz(url: str, seconds: float, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run schemathesis against a running Outrider, as the admin and as a driver of a new company."""
    # no example of the document may change this password
    body = {"tenant": "Fuzz", "email": f"{uuid.uuid4().hex}@test.pt", "password": uuid.uuid4().hex}
    with httpx2.Client(base_url=f"{url}/api/v1/", timeout=60, trust_env=False) as http:
        session = _made(http, "auth/register", body)
        http.headers["Authorization"] = f"Bearer {session['accessToken']}"
        driver = _made(http, "drivers", {"name": "Ana"})
        person = {"email": f"{uuid.uuid4().hex}@test.pt", "password": uuid.uuid4().hex}
        user = _made(http, "users", person | {"role": "driver", "driverId": driver["id"]})
        variables = {
            "FUZZ_TOKEN": session["accessToken"],
            "FUZZ_DRIVER_TOKEN": _made(http, "auth/login", person)["accessToken"],
            "FUZZ_SPARED": " ".join([session["userId"], user["id"], driver["id"]]),
            "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks",
        }
    command = ["schemathesis", "--config-file", str(_CONFIG), "run", f"{url}/api/v1/openapi.json"]
    command += ["--max-time", str(int(seconds)), "--no-color", *options]
    return subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds + 300,
        check=False,
    )


def failed_requests(outrider: RunningOutrider) -> list[str]:
    """Return what the API has logged of requests that were answered with a 500."""
    lines = [line for log in outrider.var.glob("api-*.log") for line in log.read_text(errors="replace").splitlines()]
    return [line for line in lines if '"request.failed"' in line]


def _made(http: httpx2.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(path, json=body)
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return made


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("options", nargs="*", help="passed on to schemathesis, after --")
    arguments = parser.parse_args()
    with running_outrider(OUTRIDER_API__WORKERS="1", OUTRIDER_SHARDS__COUNT="1", **LIMITS_OFF) as outrider:
        result = fuzz(outrider.url, arguments.seconds, *arguments.options)
        faults = failed_requests(outrider)
        sys.stdout.write(result.stdout)
        for line in faults[-20:]:
            sys.stdout.write(f"{line}\n")
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
