// Runs beside each other: /compare?run=KEY&run=KEY
