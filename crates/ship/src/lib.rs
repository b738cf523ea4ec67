//! Sends what `llm-audit` has counted to other systems.
