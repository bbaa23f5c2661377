"""quickspine: does a SpinalNet head beat a dense head?"""
