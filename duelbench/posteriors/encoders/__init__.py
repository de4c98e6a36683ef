"""What turns (prompt, response) into the features that reward models stand on."""
