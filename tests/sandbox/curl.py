"""Run the commands of a documentation page without a shell."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
CAPTURE = re.compile(r"(\w+)=\$\((curl .*) \| jq -r \.([\w.]+)\)")
ASSIGNMENT = re.compile(r"(?:export )?\w+=\S+(?: \w+=\S+)*")
FILE = re.compile(r"head -c (\d+) /dev/zero > (\S+)")


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a page, and the status that it promises; None: any success."""

    line: str
    status: int | None

    def fits(self, status: int) -> bool:
        """Tell whether the answer is the promised one."""
        return 200 <= status < 300 if self.status is None else status == self.status


@dataclass(slots=True)
class Shell:
    """Runs curl's lines with httpx, and knows the few other lines of the page."""

    http: httpx.AsyncClient
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    async def run(self, line: str) -> httpx.Response | None:
        """Run a line; None if it asked nobody."""
        if made := FILE.fullmatch(line):
            self.files[made[2]] = bytes(int(made[1]))
            return None
        if captured := CAPTURE.fullmatch(line):
            answer = await self._curl(captured[2])
            value: Any = answer.json()
            for name in captured[3].split("."):
                value = value[name]
            self.variables[captured[1]] = str(value)
            return answer
        if ASSIGNMENT.fullmatch(line):
            return None
        return await self._curl(line)

    async def _curl(self, line: str) -> httpx.Response:
        name, *words = shlex.split(self._filled(line))
        if name != "curl":
            raise ValueError(f"what is this? {line}")
        method, url, headers, content = "", "", {}, None
        while words:
            match words.pop(0):
                case "-s":
                    pass
                case "-o":
                    words.pop(0)
                case "-X":
                    method = words.pop(0)
                case "-H":
                    header, _, value = words.pop(0).partition(": ")
                    headers[header] = value
                case "-d":
                    content = words.pop(0).encode()
                case "--data-binary":
                    content = self.files[words.pop(0).removeprefix("@")]
                case word if word.startswith("http"):
                    url = word
                case word:
                    raise ValueError(f"{word} in {line}")
        method = method or ("GET" if content is None else "POST")
        return await self.http.request(method, url, headers=headers, content=content)

    def _filled(self, line: str) -> str:
        for name, value in self.variables.items():
            line = re.sub(rf"\${name}\b", value.replace("\\", r"\\"), line)
        return line


def commands_of(page: str) -> Iterator[Command]:
    """Yield the commands of the page's `sh` blocks."""
    for block in BLOCK.findall(page):
        for line in block.splitlines():
            command, _, comment = line.partition(" # ")
            yield Command(command, int(comment) if comment.isdecimal() else None)
