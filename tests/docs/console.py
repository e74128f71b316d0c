"""Blocks of commands, executed as a reader does, and what they print compared."""

from tests.docs.correspondence import Correspondence, Mismatch


def commands(text):
    """Yield the commands of a block, and what is shown below each."""
    command, shown = None, []
    for line in text.splitlines():
        if command is not None and command.endswith("\\"):
            command += f"\n{line}"
        elif line.startswith("$ ") or line == "^C":
            if command is not None:
                yield command, "\n".join(shown)
            command, shown = line.removeprefix("$ "), []
        else:
            shown.append(line)
    yield command, "\n".join(shown)


class Console:
    """A terminal whose commands are those of a page.

    :param terminal: a :class:`tests.docs.terminal.Terminal`.
    :param places: what the page shows, as a port or a folder, and what it is here.
    """

    def __init__(self, terminal, places):
        self.terminal = terminal
        self._places = places
        self._correspondence = Correspondence()

    def problem(self, text):
        """Run the commands of a block; return what is wrong, or None."""
        try:
            for command, shown in commands(text):
                self.run(command, shown)
        except Mismatch as mismatch:
            return str(mismatch)

    def run(self, command, shown):
        """Run one command, and compare what it prints with what is shown.

        :raises Mismatch: if it is something else.
        """
        self.compare(shown, self.terminal.run(self.meant(command)))

    def meant(self, text):
        """Return a text of the page as it is here."""
        for there, here in self._places.items():
            text = text.replace(there, here)
        return self._correspondence.meant(text)

    def compare(self, shown, actual):
        """Compare what the page shows with what there is here."""
        for there, here in self._places.items():
            actual = actual.replace(here, there)
        self._correspondence.compare(shown, actual)
