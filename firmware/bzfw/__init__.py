"""The token: policy only. Hardware comes in through `hal.Hal`; `hal_esp32` is its one implementation."""

VERSION = "0.4.0"
