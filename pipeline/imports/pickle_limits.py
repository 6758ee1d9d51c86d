"""Refuses pickles that would take unbounded time or memory, before anything is made of them.

A few bytes can make a list that holds itself a thousand billion times by way of the memo, index the
memo at four billion, or claim a string of exabytes. Checkpoints have some ten thousand opcodes.
"""

import pickletools
from graphlib import CycleError, TopologicalSorter
from typing import Any

MAX_OPCODES = 100_000
MAX_OBJECTS = 1_000_000
"""Counting an object as often as it is held: the work of printing, comparing or hashing all"""
MAX_DEPTH = 50

_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_CHANGING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
"""Opcodes whose result is the first object that they take, with the others in it"""


def require_modest(file: Any) -> set[str]:
    """Read one pickle of an open file, to its end; the classes and functions that it names.

    ValueError if it is damaged or exceeds a limit. Full names, of the protocols below 4.
    """
    objects, names = _Objects(), set()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if number == MAX_OPCODES:
            raise ValueError(f"it has more than {MAX_OPCODES:,} opcodes")
        if opcode.name in ("GLOBAL", "INST"):
            names.add(str(argument).replace(" ", "."))
        objects.follow(opcode, argument)
    objects.require_modest()
    return names


class _Objects:
    """The objects of a pickle, by number, and which others each holds."""

    def __init__(self) -> None:
        self.parts: list[list[int]] = []
        self.stack: list[int] = []
        self.marks: list[int] = []
        """Heights of the stack"""
        self.memo: dict[int, int] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """What an opcode does with the stack and the memo."""
        name = opcode.name
        if name in _PUTS:
            index = len(self.memo) if argument is None else argument
            if not 0 <= index < MAX_OPCODES:
                raise ValueError(f"it stores an object as number {index}")
            self.memo[index] = self._top()
        elif name in _GETS:
            if argument not in self.memo:
                raise ValueError(f"it takes object {argument}, which it has not stored")
            self.stack.append(self.memo[argument])
        elif name == "DUP":
            self.stack.append(self._top())
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name == "POP" and self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            taken = self._take(opcode)
            if name in _CHANGING:
                self.parts[taken[0]] += taken[1:]
                self.stack.append(taken[0])
            elif opcode.stack_after:
                self.stack.append(len(self.parts))
                self.parts.append(taken)

    def require_modest(self) -> None:
        """ValueError if the objects are nested too deeply, or too often in each other."""
        sizes, depths = [1] * len(self.parts), [1] * len(self.parts)
        try:
            for number in TopologicalSorter(dict(enumerate(self.parts))).static_order():
                parts = self.parts[number]
                sizes[number] += sum(sizes[part] for part in parts)
                depths[number] += max((depths[part] for part in parts), default=0)
                if sizes[number] > MAX_OBJECTS or depths[number] > MAX_DEPTH:
                    raise ValueError(
                        f"an object in it is nested deeper than {MAX_DEPTH} levels, or holds more "
                        f"than {MAX_OBJECTS:,} others"
                    )
        except CycleError as error:
            raise ValueError("an object in it holds itself") from error

    def _top(self) -> int:
        if not self.stack:
            raise ValueError("it takes an object from an empty stack")
        return self.stack[-1]

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[int]:
        """Remove what the opcode takes from the stack."""
        before, height = opcode.stack_before, len(self.stack)
        if pickletools.markobject in before:
            if not self.marks:
                raise ValueError("it has an end of a list without a beginning")
            height = self.marks.pop() - before.index(pickletools.markobject)
        else:
            height -= len(before)
        if height < 0:
            raise ValueError("it takes an object from an empty stack")
        taken = self.stack[height:]
        del self.stack[height:]
        return taken
