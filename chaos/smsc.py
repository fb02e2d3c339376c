"""Scenario of SMPP against a third-party SMSC: connections cut, our process killed, the SMSC silent, busy or away."""

import random
import time

from chaos.checker import Counts, NotInstalled, recover_and_check
from chaos.harness import ApiClient, ChaosStack
from chaos.journal import Arrival
from chaos.kills import ask_evenly, wait_for_all
from config.run.processes import wait_until
from testkit.processes import Program
from testkit.simulator import PASSWORD, Simulator, is_installed

UNKNOWN_PER_FAULT = 32
"""Most messages that one fault may leave UNKNOWN: the window and what is written behind it."""


class SmscLog:
    """Log of the SMSC: every submit that it read and did not refuse, by telephone; it does not know our ids."""

    def __init__(self, smsc: Simulator) -> None:
        self.smsc = smsc

    def arrivals(self) -> list[Arrival]:
        return [
            Arrival(each["at"], "", each["to"].removeprefix("51"), each["text"], "smsc")
            for each in self.smsc.of("submitted")
            if each["answered"] != "throttled"
        ]

    def __len__(self) -> int:
        return len(self.arrivals())


def connection_faults(stack: ChaosStack, rng: random.Random, *, messages: int, faults: int) -> Counts:
    """Ask for codes while random faults happen to the SMPP connection."""
    if not is_installed():
        raise NotInstalled("the SMSC simulator (`npm ci --prefix tests/peers --ignore-scripts`)")
    stack.ready()
    smsc = Simulator()
    log = SmscLog(smsc)
    url = f"smpp://aval:{PASSWORD}@127.0.0.1:{smsc.port}/?sender=AVAL"
    gateway = stack.program("smpp", "smpp", SMS_URL=url)
    stack.extra_logs.append(log)
    gateway.start()
    try:
        assert wait_until(lambda: bool(smsc.of("bound")), 30), "it binds"
        with stack.rewired([stack.worker], {"SMS_URL": url}):
            api = ApiClient(stack)
            asking = ask_evenly(api, messages, faults * 1.2)
            for _ in range(faults):
                time.sleep(rng.uniform(0.2, 1.5))
                _fault(rng, smsc, gateway)
            wait_for_all(asking)
            smsc.answers("ok")
            smsc.do("release")
            counts = recover_and_check(api, stack)
            counts.expect(len(api.accepted) == messages, f"{messages - len(api.accepted)} were not accepted")
            counts.expect(counts.unknown <= faults * UNKNOWN_PER_FAULT, "more UNKNOWN than the faults explain")
        return counts
    finally:
        gateway.kill()
        stack.extra_logs.remove(log)
        smsc.close()


def _fault(rng: random.Random, smsc: Simulator, gateway: Program) -> None:
    match rng.choice(("kill", "kill in mid-send", "cut", "cut in mid-send", "busy", "mute", "away")):
        case "kill":
            gateway.restart()
        case "kill in mid-send":
            _hold_one(smsc)
            gateway.restart()
            smsc.answers("ok")
        case "cut":
            smsc.do("disconnect")
        case "cut in mid-send":
            _hold_one(smsc)
            smsc.do("disconnect")
            smsc.answers("ok")
        case "busy":
            smsc.answers("throttled", rng.randint(1, 5))
        case "mute":
            smsc.answers("nothing")
            time.sleep(rng.uniform(0.5, 2))
            smsc.answers("ok")
            smsc.do("release")
        case "away":
            smsc.do("close")
            smsc.do("disconnect")
            time.sleep(rng.uniform(0.5, 1.5))
            smsc.do("listen")


def _hold_one(smsc: Simulator) -> None:
    """Wait until it has read a submit that it does not answer."""
    smsc.answers("nothing")
    before = len(smsc.of("submitted"))
    wait_until(lambda: len(smsc.of("submitted")) > before, 3)
