{# What this step's events do at all-to-all synapses without delay that lie source by source: which these are follows
   from the event's unit, and no queue has to name them. In place of Brian2's template of this name. #}
{# USES_VARIABLES { _synaptic_pre, _synaptic_post } #}
{% extends 'common_synapses.cpp' %}

{% block maincode %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    // Stands in for an array of indices, so that the compiler sees which units follow one another.
    struct _Unit { size_t number; int32_t operator[](size_t) const { return number; } };
    {% set events = pathway.source.variables[pathway.eventspace_name] %}
    const int32_t* const _events = {{get_array_name(events, access_data=False)}};
    const int _n_events = _events[{{pathway.source|length}}];
    for(int _event=0; _event<_n_events; _event++)
    {
        const size_t _here = _events[_event];
        for(size_t _there=0; _there<{{pathway.target|length}}; _there++)
        {
            {% set pre, post = ('_here', '_there') if pathway.prepost == 'pre' else ('_there', '_here') %}
            const _Unit {{_synaptic_pre}} = { {{pre}} };
            const _Unit {{_synaptic_post}} = { {{post}} };
            const size_t _idx = {{pre}} * {{pathway.synapses.target|length}} + {{post}};
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
        }
    }
{% endblock %}
