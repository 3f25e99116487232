"""`warraq review`: a person labels, corrects and checks pages in the browser; nothing leaves the machine."""
