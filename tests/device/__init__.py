"""The device suite: a package, so that its tokens are wiped and unplugged when its last test is over."""
