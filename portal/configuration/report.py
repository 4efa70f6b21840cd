"""Collects all problems of the configuration before they are reported.

A problem names the key and never repeats a value that may be a secret.
"""

from portal.errors import ENVIRONMENT, Problem, SettingsError


class Report:
    """The problems of one configuration file and the environment."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.problems: list[Problem] = []

    def file(self, key: str, what: str, fix: str) -> None:
        """Note a problem at the dotted *key* of the file."""
        self.problems.append(Problem(place=self.place, key=key, what=what, fix=fix))

    def environment(self, name: str, what: str, fix: str) -> None:
        """Note a problem with the environment variable *name*."""
        self.problems.append(Problem(place=ENVIRONMENT, key=name, what=what, fix=fix))

    def at(self, place: str, key: str, what: str, fix: str) -> None:
        """Note a problem in *place*, which is the file or :data:`ENVIRONMENT`."""
        self.problems.append(Problem(place=place, key=key, what=what, fix=fix))

    def instead(self, place: str, key: str, what: str, fix: str) -> None:
        """Note a problem in *place* that replaces all other problems of *key*."""
        self.problems = [one for one in self.problems if (one.place, one.key) != (place, key)]
        self.at(place, key, what, fix)

    def stop_if_any(self) -> None:
        """Raise everything noted so far.

        Raises:
            SettingsError: there is at least one problem.
        """
        if self.problems:
            raise SettingsError(self.problems)
