"""What crosses a boundary of the core: messages, events, effects, parameters, errors."""
