"""What is printed: labels and the wearer's page. Draws what it is given; asks neither tokens nor the registry."""
