"""Partner events: what happened to a partner's clients, codes and messages, for its feed and its webhooks.

Any app may write one, in the transaction of the change and, where a statement makes the change, in that statement.
"""
