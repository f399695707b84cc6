"""A real IMAP server (Debian's Dovecot) on loopback, with one mailbox, run without privileges."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from newsletter.config.mail import Imap
from tests.helpers.newsletter import free_port

_DOVECOT = Path("/usr/sbin/dovecot")
USER, PASSWORD = "bounces", "open-sesame"

_CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:{folder}/mail
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = .
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {plain}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
"""


class ImapServer:
    """Used as a context manager.

    Args:
        authority: who signs its certificate.
        prefix: what all folders but the INBOX begin with, as some servers have it.

    Attributes:
        mail: the Maildir of the INBOX.
    """

    def __init__(self, authority: trustme.CA, prefix: str = "") -> None:
        assert _DOVECOT.exists(), "dovecot is missing; 'make test' installs it"
        # The tests may run as root, as whom Dovecot does not read mail.
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self._folder = Path(tempfile.mkdtemp(prefix="imap-"))
        self._authority, self._prefix = authority, prefix
        self.mail = self._folder / "mail"

    def __enter__(self) -> Self:
        folder, user = self._folder, self._user
        self.port, self.tls_port = free_port(), free_port()
        for name in ("run", "home", "mail/new", "mail/cur", "mail/tmp"):
            (folder / name).mkdir(parents=True)
        self._authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        group = subprocess.run(["id", "-gn", user.pw_name], capture_output=True, text=True, check=True).stdout.strip()
        values = {"folder": folder, "user": user.pw_name, "group": group, "uid": user.pw_uid, "gid": user.pw_gid}
        ports = {"plain": self.port, "tls": self.tls_port, "password": PASSWORD, "prefix": self._prefix}
        (folder / "dovecot.conf").write_text(_CONFIG.format(**values, **ports))
        self.give()
        command = [_DOVECOT, "-F", "-c", folder / "dovecot.conf"]
        rights = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **rights)
        self._wait()
        return self

    def give(self) -> None:
        """Give its folder to the user it runs as."""
        if os.getuid() == 0:
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def put(self, name: str, content: bytes) -> None:
        """Deliver a message."""
        (self.mail / "new" / name).write_bytes(content)
        self.give()

    def settings(self, **changes: object) -> Imap:
        """Return the settings to connect, without TLS unless changed."""
        plain = {"host": "127.0.0.1", "port": self.port, "security": "none", "user": USER, "timeout_seconds": 20}
        return Imap.model_validate({**plain, **changes})

    def _wait(self) -> None:
        for _ in range(300):
            assert self._process.poll() is None, self._process.stderr.read() + (self._folder / "log").read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.1)
        raise AssertionError("Dovecot does not answer")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)
        shutil.rmtree(self._folder)
