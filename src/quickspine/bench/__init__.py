"""What the project is measured with: read by nobody else, and run by `make bench` alone.

A section measures one thing and puts it in a table (`sections`); contestants take turns, round by
round (`turns`); what sets up a whole process is a program of its own (`programs`).
"""
