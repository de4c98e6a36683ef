"""Seven agents and the ladder on stored responses: three tastes warm, one cold."""
