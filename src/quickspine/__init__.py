"""quickspine: does a SpinalNet head beat a dense head?

Importing it is all that `keras.saving.load_model` needs to load a trained model.
"""

from quickspine.nets.registration import register_with_keras

register_with_keras()
