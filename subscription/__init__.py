"""THE CLIENT'S DOOR: subscribing, confirming and unsubscribing in the browser, and the evidence of each."""
