"""Runs a program with threads from Python, and tells how it ended.

    python3 examples/primes.py LIBRARY ../../examples/primes.wat 3 1000
"""

import ctypes
import os
import sys
import tempfile
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p

library = ctypes.CDLL(sys.argv[1])


class Failed(Exception):
    """An error of the library."""


def function(name, result, *parameters, fails=False):
    """A function of the library. One that can fail raises its error."""
    found = getattr(library, name)
    found.restype = result
    # The address of the text, and not its bytes, so that the text can be deleted.
    found.argtypes = list(parameters) + [POINTER(c_void_p)] * fails
    if not fails:
        return found

    def checked(*arguments):
        error = c_void_p()
        value = found(*arguments, byref(error))
        if not value:
            text = ctypes.string_at(error.value).decode()
            library.wt_string_delete(error)
            raise Failed(text)
        return value

    return checked


library.wt_string_delete.argtypes = [c_void_p]
library.wt_string_delete.restype = None
engine_new = function("wt_engine_new", c_void_p, c_uint32, fails=True)
module_open = function("wt_module_open", c_void_p, c_void_p, c_char_p, fails=True)
config_new = function("wt_config_new", c_void_p)
config_arg = function("wt_config_arg", c_bool, c_void_p, c_char_p, fails=True)
config_stdio = function("wt_config_stdio", c_bool, c_void_p, c_int, c_int, fails=True)
config_timeout = function("wt_config_timeout", None, c_void_p, c_uint64)
group_new = function("wt_group_new", c_void_p, c_void_p, c_void_p, fails=True)
# ctypes lets other threads of Python run during the call.
group_run = function("wt_group_run", c_void_p, c_void_p, c_char_p, fails=True)
memory_read = function(
    "wt_group_memory_read", c_bool, c_void_p, c_uint64, c_void_p, c_size_t, fails=True
)
outcome_message = function("wt_outcome_message", c_char_p, c_void_p)
outcome_status = function("wt_outcome_status", c_int, c_void_p)

engine = engine_new(0)
try:
    module_open(engine, b"no/such/file")
except Failed as error:
    print("as it should:", error)
module = module_open(engine, os.fsencode(sys.argv[2]))
config = config_new()
for argument in sys.argv[2:]:
    config_arg(config, os.fsencode(argument))
config_timeout(config, 60_000)
with tempfile.TemporaryFile() as output:
    config_stdio(config, 1, output.fileno())
    group = group_new(module, config)
    outcome = group_run(group, None)
    output.seek(0)
    print("it printed:", output.read().decode().strip())
print(outcome_message(outcome).decode())
word = (ctypes.c_uint8 * 4)()
memory_read(group, 4, word, 4)
print("found, says the memory:", int.from_bytes(word, "little"))
status = outcome_status(outcome)
for name, pointer in [
    ("outcome", outcome),
    ("group", group),
    ("config", config),
    ("module", module),
    ("engine", engine),
]:
    function(f"wt_{name}_delete", None, c_void_p)(pointer)
sys.exit(status)
