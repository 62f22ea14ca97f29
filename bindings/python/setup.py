# SPDX-License-Identifier: Apache-2.0
"""The extension module is built by cffi; the rest is in pyproject.toml."""
from setuptools import setup

setup(cffi_modules=["build_weir.py:ffibuilder"])
