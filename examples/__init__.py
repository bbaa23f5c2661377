"""Small programs that use quickspine as a library; each is one file, and runs by itself."""
