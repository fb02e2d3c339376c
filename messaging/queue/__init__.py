"""The queue: outbox, states, wake-up of workers, sealed codes."""
