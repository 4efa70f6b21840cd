"""The whole ``portal`` command line: every command with its module and a summary."""

from typing import Final

import click

from portal.cli.lazy_command import LazyCommand
from portal.cli.messages import examples

COMPLETION: Final = "_PORTAL_COMPLETE"
"""The variable with which a shell asks for completions."""
_CLI: Final = "portal.cli"

APPS: Final = click.Group(
    "apps",
    help="Manage the apps: state, logs, restarts, environments, secrets.",
    epilog=examples("portal apps list", "portal apps logs forecast --follow", "portal apps restart forecast"),
    commands=[
        LazyCommand("list", f"{_CLI}.apps:list_apps", "List all apps, one line each."),
        LazyCommand("status", f"{_CLI}.apps:status", "Show the details of one app or of all."),
        LazyCommand("logs", f"{_CLI}.apps:logs", "Show what an app printed."),
        LazyCommand("stop", f"{_CLI}.apps:stop", "Stop an app until it is started again."),
        LazyCommand("start", f"{_CLI}.apps:start", "Start an app that is stopped or waits for its next start."),
        LazyCommand("restart", f"{_CLI}.apps:restart", "Replace an app's process with a new one, without a gap."),
        LazyCommand("install", f"{_CLI}.install:install", "Make an app's environment from its requirements."),
        LazyCommand("secret", f"{_CLI}.app_secrets:show", "Print the client secret of an app that runs elsewhere."),
        LazyCommand("secrets", f"{_CLI}.app_secrets:write", "Write the client secrets of all apps that run elsewhere."),
    ],
)
SIGN_INS: Final = click.Group(
    "sign-ins",
    help="List who is signed in, and end sign-ins.",
    epilog=examples("portal sign-ins list", "portal sign-ins revoke --person ana@example.com"),
    commands=[
        LazyCommand("list", f"{_CLI}.sign_ins:list_sign_ins", "List who is signed in, the latest first."),
        LazyCommand("revoke", f"{_CLI}.sign_ins:revoke", "End sign-ins, with all that is open in apps."),
    ],
)
KEYS: Final = click.Group(
    "keys",
    help="List, rotate and revoke the portal's signing keys.",
    epilog=examples("portal keys list", "portal keys rotate"),
    commands=[
        LazyCommand("list", f"{_CLI}.keys:list_keys", "List the signing keys, the newest first."),
        LazyCommand("rotate", f"{_CLI}.keys:rotate", "Replace the signing key."),
        LazyCommand("revoke", f"{_CLI}.keys:revoke", "Revoke keys that others may know."),
    ],
)
CONFIG: Final = click.Group(
    "config",
    help="Write the configuration of nginx, Caddy or systemd.",
    epilog=examples("portal config caddy --output Caddyfile", "portal config systemd --output units"),
    commands=[
        LazyCommand("nginx", f"{_CLI}.config:nginx", "Write a file for /etc/nginx/conf.d."),
        LazyCommand("caddy", f"{_CLI}.config:caddy", "Write a Caddyfile."),
        LazyCommand("systemd", f"{_CLI}.config:systemd", "Write units for the portal and one for each app."),
    ],
)
PORTAL: Final = click.Group(
    "portal",
    help="Put Gradio apps behind your company's sign-in.",
    epilog=examples("portal demo", "portal init", "portal check", "portal serve"),
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100},
    commands=[
        LazyCommand("demo", f"{_CLI}.demo:demo", "Start the sample apps behind a demo provider with four people."),
        LazyCommand("try", f"{_CLI}.try_app:try_app", "Start one Gradio app, unmodified, behind the demo provider."),
        LazyCommand("init", f"{_CLI}.init:init", "Write a first portal.toml and .env into this folder."),
        LazyCommand("serve", f"{_CLI}.serve:serve", "Run the portal and the apps of portal.toml on this machine."),
        LazyCommand("reload", f"{_CLI}.reload:reload", "Apply portal.toml to a running portal, without a gap."),
        APPS,
        LazyCommand("check", f"{_CLI}.check:check", "List the problems of the configuration, or show what it sets."),
        LazyCommand("doctor", f"{_CLI}.doctor:doctor", "Test portal and apps through the reverse proxy."),
        LazyCommand("providers", f"{_CLI}.providers:providers", "List the identity providers and whether they answer."),
        SIGN_INS,
        LazyCommand("audit", f"{_CLI}.audit:audit", "Print the events of the audit, one line each."),
        KEYS,
        CONFIG,
        LazyCommand("explain", f"{_CLI}.explain:explain", "Show which roles and apps a person's claims give, and why."),
        LazyCommand("migrate", f"{_CLI}.migrate:migrate", "Bring the database up to date."),
        LazyCommand("backup", f"{_CLI}.backup:backup", "Write the database into one file, while the portal runs."),
        LazyCommand("restore", f"{_CLI}.restore:restore", "Restore a backup; stop the portal first."),
        LazyCommand("completion", f"{_CLI}.completion:completion", "Print a shell script that completes commands."),
    ],
)


def _show_version(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - as click calls it
    if value and not context.resilient_parsing:
        from importlib import metadata  # noqa: PLC0415 - takes as long as all the rest of a start

        try:
            click.echo(f"portal {metadata.version('gradio-portal')}")
        except metadata.PackageNotFoundError:
            click.echo("portal (not installed)")
        context.exit()


click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)(PORTAL)
