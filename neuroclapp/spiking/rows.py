"""All-to-all synapses without delay in Brian2's C++ programs: an event goes along a row of memory.

Brian2 puts the numbers of all synapses that an event reaches into a queue, and looks up both ends of each.
Here a pathway has other templates (``templates/``), by extension points of Brian2: a class of code objects
with a templater derived from its own. What happens at a synapse is the code that Brian2 generates.
"""

from __future__ import annotations

from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject


class Rows(CPPStandaloneCodeObject):
    """Code of synapses from each source to all targets, in this order, without delay, on one thread."""

    templater = CPPStandaloneCodeObject.templater.derive("neuroclapp.spiking")
