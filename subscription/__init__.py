"""Public subscription pages: subscribing, confirming and unsubscribing in the browser, and the evidence of each."""
