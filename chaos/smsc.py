"""SMS over SMPP, with an SMSC nobody here wrote: the line cut, our process killed, the SMSC mute, busy and away."""

import random
import time

from chaos.checker import Counts, NotInstalled, aftermath
from chaos.kills import ended, spread
from chaos.logbook import Arrival
from chaos.standing import Field, Front
from config.run.processes import wait_until
from testkit.processes import Program
from testkit.simulator import PASSWORD, Simulator, is_there

AT_ONCE = 32
"""UNKNOWN that one fault may cost at most: the window and what is written behind it."""


class SmscLog:
    """The SMSC's own word: every submit it read and did not refuse, by telephone; our ids it does not know."""

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


def deaths_of_a_line(stack: Field, dice: random.Random, *, messages: int, faults: int) -> Counts:
    """Codes are asked for while whatever can happen to a line happens to it, again and again."""
    if not is_there():
        raise NotInstalled("the SMSC simulator (`npm ci --prefix tests/peers --ignore-scripts`)")
    stack.ready()
    smsc = Simulator()
    log = SmscLog(smsc)
    url = f"smpp://aval:{PASSWORD}@127.0.0.1:{smsc.port}/?sender=AVAL"
    gateway = stack.program("smpp", "smpp", SMS_URL=url)
    stack.guests.append(log)
    gateway.start()
    try:
        assert wait_until(lambda: bool(smsc.of("bound")), 30), "it binds"
        with stack.rewired([stack.worker], {"SMS_URL": url}):
            front = Front(stack)
            asking = spread(front, messages, faults * 1.2)
            for _ in range(faults):
                time.sleep(dice.uniform(0.2, 1.5))
                _fault(dice, smsc, gateway)
            ended(asking)
            smsc.answers("ok")
            smsc.do("release")
            counts = aftermath(front, stack)
            counts.expect(len(front.accepted) == messages, f"{messages - len(front.accepted)} were not accepted")
            counts.expect(counts.unknown <= faults * AT_ONCE, "more UNKNOWN than lines were cut")
        return counts
    finally:
        gateway.kill()
        stack.guests.remove(log)
        smsc.close()


def _fault(dice: random.Random, smsc: Simulator, gateway: Program) -> None:
    match dice.choice(("kill", "kill in mid-send", "cut", "cut in mid-send", "busy", "mute", "away")):
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
            smsc.answers("throttled", dice.randint(1, 5))
        case "mute":
            smsc.answers("nothing")
            time.sleep(dice.uniform(0.5, 2))
            smsc.answers("ok")
            smsc.do("release")
        case "away":
            smsc.do("close")
            smsc.do("disconnect")
            time.sleep(dice.uniform(0.5, 1.5))
            smsc.do("listen")


def _hold_one(smsc: Simulator) -> None:
    """Until it has read a submit that it does not answer."""
    smsc.answers("nothing")
    before = len(smsc.of("submitted"))
    wait_until(lambda: len(smsc.of("submitted")) > before, 3)
