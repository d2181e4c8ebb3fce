{# No queue: see synapses.cpp. #}
{% extends 'common_group.cpp' %}
